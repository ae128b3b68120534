"""Runs an engine in a container, and its tools in containers of their own, over one directory tree.

Directories are mounted at the same place inside as outside. The engine's container is made anew at each start; Docker
restarts it when it fails, but not after a boot: then only the agent does, once the volume is there.
"""

import os
import signal as signals
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import EngineUser, Finished, Job, Programs, ServerState, Sources
from muniment.contract.ops import Install
from muniment_guest.files import write_whole
from muniment_guest.processes import ProcessId, boot_id, identify, is_alive, wait_until
from muniment_guest.runtimes.docker.container import Box, Mounts, Server
from muniment_guest.runtimes.docker.engine import Engine, NotFound, asked, open_engine, remove_container
from muniment_guest.runtimes.docker.images import Images
from muniment_guest.runtimes.docker.network import ensure_network
from muniment_guest.runtimes.docker.tools import WRAPPED, Tool, ToolPipe, sweep_tools, tool
from muniment_guest.runtimes.pipes import LOG_TAIL_BYTES
from muniment_guest.runtimes.process import JOB_MARK
from muniment_guest.runtimes.standstill import Standstill

__all__ = ["DockerRuntime", "server_name"]

log = structlog.get_logger()

_WRAPPED: Final = (
    "/bin/sh",
    "-c",
    'read -r boot </proc/sys/kernel/random/boot_id; [ "$boot" = "$1" ] || exit 0; shift; umask 077; exec "$@"',
    "engine",
)
"""What the engine's container runs, before its own words: in another boot than the one it was made in, nothing."""
_KILLED_S: Final = 10.0
_LOG_LINES: Final = 50


def server_name(instance_id: UUID) -> str:
    """Of the container of an instance's engine."""
    return f"muniment-{instance_id}"


class DockerRuntime:
    """See `muniment.contract.guest.Runtime`. Used by the agent and by its jobs at once."""

    name = "docker"

    def __init__(
        self,
        instance_id: UUID,
        user: EngineUser,
        *,
        socket: str,
        state: Path,
        mounts: Mounts,
        tool_mounts: Mounts,
        address: str,
        port: int,
        memory_mib: int,
        wait: Callable[[Callable[[], bool], float], bool] = wait_until,
    ) -> None:
        """Run the engine as `user` over `mounts`, published at `address`; tools see `tool_mounts` as well.

        What must be remembered beside the containers lies in `state`.
        """
        self._instance_id = instance_id
        self._user = user
        self._socket = socket
        self._io = state / "io"
        self._pid_file = state / "engine.json"
        self._mounts = mounts
        self._tool_mounts = Mounts(
            (*mounts.writable, *tool_mounts.writable), (*mounts.readable, *tool_mounts.readable)
        )
        self._address, self._port = address, port
        self._wait = wait
        self._name = server_name(instance_id)
        self._box = Box(instance_id, user, memory_mib=memory_mib, names=state / "names")
        self._images = Images(state / "image.json")
        self._image: str | None = None
        self._has_swept = False
        self._standstill = Standstill(state / "standstill", begin=self._pause, end=self._unpause)

    def programs(self, install: Install, sources: Sources, job: Job | None = None) -> Programs:
        """See `Runtime`."""
        reference = install.image or sources.image
        if reference is None:
            message = f"this server runs {install.datastore} in containers, and its driver names no image"
            raise OpFailed(Code.IMAGE_UNAVAILABLE, message)
        found = self._images.have(self._engine, reference, install.image_digest, job)
        self._image = found.id
        return Programs(PurePosixPath(sources.image_prefix), found.digest)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        as_user: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> Finished:
        """See `Runtime`; past the time limit the container is removed and `timeout` is raised."""
        with self._tool(argv, as_user, environment, stdin=stdin) as made:
            made.start()
            return made.wait(timeout_s)

    @contextmanager
    def read_from(self, argv: Sequence[str]) -> Iterator[ToolPipe]:
        """See `Runtime`; whatever still runs when the block is left is killed."""
        with self._tool(argv, "agent", None, fifo="out") as made, made.open_end("out", "rb") as stream:
            yield ToolPipe(made, stream)

    @contextmanager
    def write_to(self, argv: Sequence[str]) -> Iterator[ToolPipe]:
        """See `Runtime`; whatever still runs when the block is left is killed."""
        with self._tool(argv, "agent", None, fifo="in") as made:
            stream = made.open_end("in", "wb")
            try:
                yield ToolPipe(made, stream)
            finally:
                made.kill()
                with suppress(BrokenPipeError):
                    stream.close()

    def start_server(self, argv: Sequence[str]) -> None:
        """See `Runtime`."""
        if self.server().running:
            return
        remove_container(self._engine, self._name)
        server = Server(self._address, self._port, ensure_network(self._engine, self._instance_id))
        try:
            with asked("the engine's container cannot be started"):
                made = self._box.create(
                    self._engine,
                    self._known_image(),
                    [*_WRAPPED, boot_id(), *argv],
                    self._mounts,
                    name=self._name,
                    server=server,
                )
                self._engine.start(made)
        except NotFound as error:
            message = f"the engine's container cannot be started: {str(error.explanation)[:300]}"
            raise OpFailed(Code.IMAGE_UNAVAILABLE, message, retryable=True) from error
        self._remember_pid()
        log.info("engine started", container=self._name)

    def stop_server(self, *, signal: int, grace_s: float) -> None:
        """See `Runtime`."""
        if not self.server().running:
            return
        try:
            with asked("the engine cannot be stopped"):
                # Else Docker takes an engine that ends with an error for one that failed, and starts it.
                self._engine.update_container(self._name, restart_policy={"Name": "no"})
                with suppress(NotFound):
                    self._engine.kill(self._name, signal=int(signal))
                if not self._wait(lambda: not self._runs(), grace_s):
                    log.warning("engine did not stop in time and is killed", grace_s=grace_s)
                    self._engine.kill(self._name, signal=int(signals.SIGKILL))
        except NotFound:
            return
        except OpFailed:
            if self._runs():
                raise
        if not self._wait(lambda: not self._runs(), _KILLED_S):
            message = "the engine's container does not end, although it was killed"
            raise OpFailed(Code.TIMEOUT, message, retryable=True)
        log.info("engine stopped", container=self._name)

    def server(self) -> ServerState:
        """See `Runtime`. While the Docker engine does not answer, by the process that was started last."""
        try:
            state = self._state()
        except OpFailed:
            pid = self._remembered_pid()
            return ServerState(running=pid is not None, pid=pid)
        if state is None:
            return ServerState(running=False)
        if state["Running"] or state["Restarting"]:
            self._standstill.end_left()
            return ServerState(running=True, pid=state["Pid"] or None)
        return ServerState(running=False, exit_code=state["ExitCode"], log_tail=self._log_tail())

    def standstill(self) -> AbstractContextManager[None]:
        """See `Runtime`."""
        return self._standstill.held()

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self._socket)

    def _tool(
        self,
        argv: Sequence[str],
        as_user: str | None,
        environment: dict[str, str] | None,
        *,
        fifo: str | None = None,
        stdin: bytes = b"",
    ) -> AbstractContextManager[Tool]:
        as_agent = as_user == "agent"
        owner = (os.geteuid(), os.getegid()) if as_agent else (self._user.uid, self._user.gid)
        variables = dict(environment or {})
        if JOB_MARK in os.environ:
            variables[JOB_MARK] = os.environ[JOB_MARK]
        # There is one agent and one job at a time: what their like left before they first came here is nobody's.
        kind = "job" if JOB_MARK in os.environ else "agent"
        if not self._has_swept:
            sweep_tools(self._engine, self._io, self._instance_id, kind)
            self._has_swept = True
        image = self._known_image()

        def create(io: Path) -> str:
            return self._box.create(
                self._engine,
                image,
                [*WRAPPED, *argv],
                self._tool_mounts,
                as_agent=as_agent,
                environment=variables,
                io=io,
                tool_of=kind,
            )

        return tool(self._engine, self._io, kind, owner, argv[0], create, fifo=fifo, stdin=stdin)

    def _known_image(self) -> str:
        if self._image is None:
            raise OpFailed(Code.PRECONDITION_FAILED, "nothing is installed: server.install comes first")
        return self._image

    def _state(self) -> dict[str, Any] | None:
        try:
            with asked("the engine's container cannot be looked at"):
                found: dict[str, Any] = self._engine.inspect_container(self._name)["State"]
                return found
        except NotFound:
            return None

    def _runs(self) -> bool:
        state = self._state()
        return state is not None and bool(state["Running"] or state["Restarting"])

    def _log_tail(self) -> str:
        with suppress(NotFound, OpFailed), asked("the engine's log cannot be read"):
            text: bytes = self._engine.logs(self._name, tail=_LOG_LINES)
            return text[-LOG_TAIL_BYTES:].decode(errors="replace")
        return ""

    def _pause(self) -> None:
        try:
            with asked("the engine cannot be made to stand still", Code.PRECONDITION_FAILED):
                self._engine.pause(self._name)
        except NotFound as error:
            message = "the engine does not run, so it cannot stand still"
            raise OpFailed(Code.PRECONDITION_FAILED, message) from error

    def _unpause(self) -> None:
        state = self._state()
        if state is not None and state["Paused"]:
            with suppress(NotFound), asked("the engine cannot go on"):
                self._engine.unpause(self._name)

    def _remember_pid(self) -> None:
        state = self._state()
        identity = identify(state["Pid"]) if state is not None and state["Pid"] else None
        if identity is not None:
            write_whole(self._pid_file, msgspec.json.encode(identity))

    def _remembered_pid(self) -> int | None:
        try:
            process = msgspec.json.decode(self._pid_file.read_bytes(), type=ProcessId)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return process.pid if is_alive(process) else None
