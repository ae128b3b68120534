"""The Docker engine of this machine, found by asking it: a client on the path says nothing about whether one answers."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from muniment.contract.errors import Code, OpFailed

__all__ = [
    "INSTANCE_LABEL",
    "TOOL_LABEL",
    "Engine",
    "NotFound",
    "asked",
    "of_instance",
    "open_engine",
    "remove_container",
]

INSTANCE_LABEL: Final = "muniment.instance"
"""On every container and network of ours, with the id of the instance that it belongs to."""
TOOL_LABEL: Final = "muniment.tool"
"""On every container of a tool, with the kind of process that uses it."""
_CALL_S: Final = 60
_CONNECT_S: Final = 5.0
_REMOVED_S: Final = 15.0
_STEP_S: Final = 0.05

Engine: TypeAlias = Any
"""A `docker.APIClient`: a package without types."""


def open_engine(path: str) -> Engine:
    """Connect and ask whether it is there.

    Raises:
        OpFailed: `precondition_failed`, retryable: nobody answers at the socket.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
            first.settimeout(_CONNECT_S)
            first.connect(path)  # the package leaves a socket open behind that could not connect
        engine = docker.APIClient(base_url=f"unix://{path}", version="auto", timeout=_CALL_S)
        engine.ping()
    except (OSError, DockerException, requests.RequestException) as error:
        message = f"no Docker engine answers at {path}: start it, or set local.runtime to process"
        raise OpFailed(Code.PRECONDITION_FAILED, message, retryable=True) from error
    return engine


@contextmanager
def asked(what: str, code: Code = Code.INTERNAL) -> Iterator[None]:
    """Turn what the engine refuses into `OpFailed`, retryable, that says what was wanted; `NotFound` passes."""
    try:
        yield
    except NotFound:
        raise
    except APIError as error:
        raise OpFailed(code, f"{what}: {str(error.explanation)[:500]}", retryable=True) from error
    except (DockerException, requests.RequestException) as error:
        raise OpFailed(code, f"{what}: the Docker engine does not answer", retryable=True) from error


def remove_container(engine: Engine, container: str) -> None:
    """Have a container gone, running or not, whoever else is removing it; no-op when it is not there.

    Raises:
        OpFailed: it stays.
    """
    limit = time.monotonic() + _REMOVED_S
    while True:
        try:
            with asked("a container cannot be removed"):
                engine.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except OpFailed as failed:
            # Docker refuses a second removal, and the first may have died with its process.
            if "already in progress" not in failed.error.message or time.monotonic() > limit:
                raise
            time.sleep(_STEP_S)


def of_instance(instance_id: object) -> dict[str, Any]:
    """The filter for what belongs to an instance."""
    return {"label": f"{INSTANCE_LABEL}={instance_id}"}
