"""Programs that run to their end in a container of their own, their bytes through files and FIFOs.

Nothing goes through Docker's own streams: those are several times slower, and what passes is kept in its logs.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Final
from uuid import UUID

import requests
from docker.errors import APIError

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Finished
from muniment_guest.runtimes.docker.engine import (
    INSTANCE_LABEL,
    TOOL_LABEL,
    Engine,
    NotFound,
    asked,
    remove_container,
)
from muniment_guest.runtimes.pipes import tail, widen

__all__ = ["WRAPPED", "Tool", "ToolPipe", "sweep_tools", "tool"]

WRAPPED: Final = (
    "/bin/sh",
    "-c",
    """[ -x "$1" ] || { : >/io/missing; exit 127; }
    umask 077
    exec </io/in >/io/out 2>/io/err
    : >/io/ready
    exec "$@"
    """,
    "tool",
)
"""What a tool's container runs, before its own words: it says when its ends of the FIFOs are open."""
_READY_S: Final = 60.0
_STEP_S: Final = 0.01


class Tool:
    """One container, not started yet, and its directory `io`."""

    def __init__(self, engine: Engine, container: str, io: Path, argv0: str) -> None:
        """Made by `tool`."""
        self._engine = engine
        self._container = container
        self._io = io
        self._argv0 = argv0

    def start(self) -> None:
        """Start it."""
        with asked(f"{self._argv0} cannot be started"):
            self._engine.start(self._container)

    def wait(self, timeout_s: float | None) -> Finished:
        """Its end; past the time limit `timeout` is raised and leaving the block kills it."""
        began = time.monotonic()
        try:
            code = self._engine.wait(self._container, timeout=timeout_s)["StatusCode"]
        except APIError as error:
            message = f"{self._argv0} was taken away: {str(error.explanation)[:300]}"
            raise OpFailed(Code.INTERNAL, message, retryable=True) from error
        except requests.RequestException as error:
            if timeout_s is not None and time.monotonic() - began >= timeout_s:
                message = f"{self._argv0} took more than {timeout_s:g} s"
                raise OpFailed(Code.TIMEOUT, message, retryable=True) from error
            message = f"{self._argv0}: the Docker engine does not answer any more"
            raise OpFailed(Code.INTERNAL, message, retryable=True) from error
        if (self._io / "missing").exists():
            raise OpFailed(Code.IMAGE_UNAVAILABLE, f"the image holds no program {self._argv0}")
        return Finished(code=code, stdout=self._text("out"), stderr=self._text("err"))

    def open_end(self, name: str, mode: str) -> IO[bytes]:
        """Our end of its FIFO, once the tool has opened its own: from then on the end of one is seen by the other."""
        fifo = self._io / name
        keeper = os.open(fifo, os.O_RDWR)  # lets neither side wait for the other to open
        try:
            self.start()
            self._wait_until_ready()
            stream: IO[bytes] = open(fifo, mode)  # noqa: SIM115 - the caller closes it
        finally:
            os.close(keeper)
        widen(stream)
        return stream

    def kill(self) -> None:
        """End it now."""
        remove_container(self._engine, self._container)

    def _wait_until_ready(self) -> None:
        limit = time.monotonic() + _READY_S
        while not (self._io / "ready").exists():
            if (self._io / "missing").exists():
                raise OpFailed(Code.IMAGE_UNAVAILABLE, f"the image holds no program {self._argv0}")
            if time.monotonic() > limit:
                raise OpFailed(Code.TIMEOUT, f"{self._argv0} did not open its stream", retryable=True)
            time.sleep(_STEP_S)

    def _text(self, name: str) -> str:
        path = self._io / name
        if not path.is_file():  # a FIFO
            return ""
        with open(path, "rb") as file:
            return tail(file)


class ToolPipe:
    """See `muniment.contract.guest.Pipe`."""

    def __init__(self, made: Tool, stream: IO[bytes]) -> None:
        """Made by the runtime."""
        self.stream = stream
        self._tool = made

    def finish(self) -> Finished:
        """See `Pipe`."""
        with suppress(BrokenPipeError):  # its exit code says more than that it stopped reading
            self.stream.close()
        return self._tool.wait(None)

    def kill(self) -> None:
        """See `Pipe`."""
        self._tool.kill()


def sweep_tools(engine: Engine, folder: Path, instance_id: UUID, kind: str) -> None:
    """Remove what killed processes of this kind left of their tools; none of them lives any more."""
    filters = {"label": [f"{INSTANCE_LABEL}={instance_id}", f"{TOOL_LABEL}={kind}"]}
    with asked("containers cannot be listed"):
        found = engine.containers(all=True, filters=filters)
    for container in found:
        remove_container(engine, container["Id"])
    for io in folder.glob(f"{kind}-*"):
        shutil.rmtree(io, ignore_errors=True)


@contextmanager
def tool(
    engine: Engine,
    folder: Path,
    kind: str,
    owner: tuple[int, int],
    argv0: str,
    create: Callable[[Path], str],
    *,
    fifo: str | None = None,
    stdin: bytes = b"",
) -> Iterator[Tool]:
    """A tool's container, made by `create` with the directory for its streams; gone when the block is left.

    `kind` says what kind of process uses it, for `sweep_tools`.
    """
    folder.mkdir(mode=0o711, exist_ok=True)
    io = Path(mkdtemp(dir=folder, prefix=f"{kind}-"))
    try:
        for name in ("in", "out", "err"):
            _make_end(io / name, stdin if name == "in" else b"", owner, is_fifo=name == fifo)
        os.chown(io, *owner)
        try:
            with asked(f"no container can be made for {argv0}"):
                container = create(io)
        except NotFound as error:
            message = f"the image of {argv0} is not here any more"
            raise OpFailed(Code.IMAGE_UNAVAILABLE, message, retryable=True) from error
        made = Tool(engine, container, io, argv0)
        try:
            yield made
        finally:
            made.kill()
    finally:
        shutil.rmtree(io, ignore_errors=True)


def _make_end(path: Path, content: bytes, owner: tuple[int, int], *, is_fifo: bool) -> None:
    if is_fifo:
        os.mkfifo(path, 0o600)
    else:
        path.touch(mode=0o600)
        path.write_bytes(content)
    os.chown(path, *owner)
