"""The Docker engine of this machine, found by asking it: a client on the path says nothing about whether one answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from muniment.contract.errors import Code, OpFailed

__all__ = ["INSTANCE_LABEL", "Engine", "NotFound", "asked", "of_instance", "open_engine"]

INSTANCE_LABEL: Final = "muniment.instance"
"""On every container and network of ours, with the id of the instance that it belongs to."""
_CALL_S: Final = 60

Engine: TypeAlias = Any
"""A `docker.APIClient`: a package without types."""


def open_engine(socket: str) -> Engine:
    """Connect and ask whether it is there.

    Raises:
        OpFailed: `precondition_failed`, retryable: nobody answers at the socket.
    """
    try:
        engine = docker.APIClient(base_url=f"unix://{socket}", version="auto", timeout=_CALL_S)
        engine.ping()
    except (DockerException, requests.RequestException) as error:
        message = f"no Docker engine answers at {socket}: start it, or set local.runtime to process"
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


def of_instance(instance_id: object) -> dict[str, Any]:
    """The filter for what belongs to an instance."""
    return {"label": f"{INSTANCE_LABEL}={instance_id}"}
