"""Jobs as processes of their own, so that they outlive the agent and can be found again by its successor.

Each has a directory: `command.json` what to do (no secret), `lock` held by its process for as long as that lives,
`process.json` who that is, `progress.json` and `outcome.bin`, each written whole. The agent takes the lock before it
starts the process and hands it over, so there is no moment in which a job runs and the lock is free.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, TypeVar
from uuid import UUID

import msgspec
import structlog

from muniment.contract.errors import Code, OpFailed
from muniment.contract.messages import JobState, Outcome
from muniment.secret import Secret
from muniment_guest.config import Layout
from muniment_guest.duties import JobProgress, JobView
from muniment_guest.files import ensure_directory, write_durably, write_whole
from muniment_guest.journal import Entry
from muniment_guest.processes import ProcessId, is_alive, kill_all, marked, of_session, wait_until
from muniment_guest.runtimes.process import JOB_MARK

__all__ = ["JOB_PROGRAM", "JobCommand", "JobDirectory", "ProcessJobs"]

log = structlog.get_logger()

T = TypeVar("T")

JOB_PROGRAM: Final = (sys.executable, "-m", "muniment_guest.job")
_ASKED_S: Final = 5.0
"""How long a job may take to clean up after it was told to stop."""
_PROCESS_KNOWN_S: Final = 5.0
_EXIT_S: Final = 2.0
_SECRET_BYTES_MAX: Final = 1024 * 1024


class JobCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What a job's process is to do."""

    command_id: UUID
    op: str
    args: bytes
    at_s: float
    starts: int


class JobDirectory:
    """The files of one job, as both its process and the agent use them."""

    def __init__(self, path: Path) -> None:
        """The directory need not be there yet."""
        self.path = path
        self.lock = path / "lock"

    def write_command(self, command: JobCommand) -> None:
        """Durably, before the process is started."""
        ensure_directory(self.path)
        write_durably(self.path / "command.json", msgspec.json.encode(command))

    def read_command(self) -> JobCommand | None:
        """What to do; None where no job was started."""
        return _read(self.path / "command.json", JobCommand)

    def write_process(self, process: ProcessId) -> None:
        """Who does it."""
        write_whole(self.path / "process.json", msgspec.json.encode(process))

    def read_process(self) -> ProcessId | None:
        """Who does it; None when its process has not come so far."""
        return _read(self.path / "process.json", ProcessId)

    def write_progress(self, progress: JobProgress) -> None:
        """Cheap: it need not survive a power cut."""
        write_whole(self.path / "progress.json", msgspec.json.encode(progress))

    def read_progress(self) -> JobProgress:
        """What the job last said of itself."""
        return _read(self.path / "progress.json", JobProgress) or JobProgress()

    def write_outcome(self, outcome: Outcome) -> None:
        """Durably: from now on the job has ended."""
        write_durably(self.path / "outcome.bin", msgspec.msgpack.encode(outcome))

    def read_outcome(self) -> Outcome | None:
        """How it ended; None when it has not."""
        try:
            return msgspec.msgpack.decode((self.path / "outcome.bin").read_bytes(), type=Outcome)
        except FileNotFoundError:
            return None

    def is_locked(self) -> bool:
        """Whether its process lives."""
        try:
            with open(self.lock, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def clear(self) -> None:
        """Forget what an earlier process left, but not how many there were."""
        for name in ("process.json", "progress.json", "outcome.bin"):
            (self.path / name).unlink(missing_ok=True)


class ProcessJobs:
    """See `muniment_guest.duties.Jobs`."""

    def __init__(
        self,
        layout: Layout,
        *,
        program: Sequence[str] = JOB_PROGRAM,
        wait: Callable[[Callable[[], bool], float], bool] = wait_until,
        asked_s: float = _ASKED_S,
    ) -> None:
        """Keep jobs in the layout's directory for them; `program` is what runs one."""
        self._layout = layout
        self._program = program
        self._wait = wait
        self._asked_s = asked_s

    def start(self, entry: Entry, secrets: Mapping[str, Secret]) -> None:
        """See `Jobs`. The secrets go through a pipe: they are in no argument, environment or file."""
        directory = self._directory(entry.command_id)
        try:
            known = directory.read_command()
            self._kill_left(entry.command_id)
            directory.clear()
            directory.write_command(
                JobCommand(
                    command_id=entry.command_id,
                    op=entry.op,
                    args=entry.args,
                    at_s=entry.at_s,
                    starts=(known.starts if known else 0) + 1,
                )
            )
            with open(directory.lock, "ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._spawn(directory, lock, secrets)
        except OSError as error:
            message = f"a process for {entry.op} cannot be started: {error.strerror or error}"
            raise OpFailed(Code.INTERNAL, message, retryable=True) from error

    def look(self, command_id: UUID) -> JobView:
        """See `Jobs`."""
        directory = self._directory(command_id)
        lives = directory.is_locked()
        command = directory.read_command()
        starts = command.starts if command else 0
        # Read after the lock: a process that is gone has written what it will ever write.
        if (outcome := directory.read_outcome()) is not None:
            return JobView(state=JobState.FINISHED, outcome=outcome, starts=starts)
        if lives:
            return JobView(state=JobState.RUNNING, progress=directory.read_progress(), starts=starts)
        return JobView(state=JobState.NEVER, starts=starts)

    def end(self, command_id: UUID) -> None:
        """See `Jobs`."""
        directory = self._directory(command_id)
        if directory.is_locked():
            self._wait(
                lambda: directory.read_process() is not None or not directory.is_locked(), _PROCESS_KNOWN_S
            )
            self._stop(directory)
        self._kill_left(command_id)

    def forget(self, command_id: UUID) -> None:
        """See `Jobs`; its process, which is about to exit, is waited for and buried."""
        directory = self._directory(command_id)
        if (process := directory.read_process()) is not None:
            self._wait(lambda: not is_alive(process), _EXIT_S)
        shutil.rmtree(directory.path, ignore_errors=True)

    def sweep(self, running: UUID | None) -> None:
        """Remove the files of jobs whose outcome was journaled just before a crash."""
        for name in os.listdir(self._layout.jobs):
            if name != str(running):
                shutil.rmtree(self._layout.jobs / name, ignore_errors=True)

    def end_all(self) -> None:
        """Have every job gone, whatever is known of it: the server is being taken away."""
        for name in os.listdir(self._layout.jobs):
            with suppress(ValueError):
                self.end(UUID(name))

    def _directory(self, command_id: UUID) -> JobDirectory:
        return JobDirectory(self._layout.jobs / str(command_id))

    def _spawn(self, directory: JobDirectory, lock: IO[bytes], secrets: Mapping[str, Secret]) -> None:
        with open(self._layout.job_log, "ab") as output:
            process = subprocess.Popen(
                [
                    *self._program,
                    "--config", str(self._layout.config_file), "--job", str(directory.path),
                ],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", JOB_MARK: directory.path.name},
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )  # fmt: skip
        # The job outlives the agent on purpose; `is_alive` and `kill_all` bury it when it is a child of ours.
        process.returncode = 0
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(encode_secrets(secrets))

    def _stop(self, directory: JobDirectory) -> None:
        """Ask, wait, kill. Its children are of its session, whatever group they have."""
        process = directory.read_process()
        if process is None or not is_alive(process):
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        if self._wait(lambda: not directory.is_locked(), self._asked_s):
            return
        log.warning("job did not stop in time and is killed", command_id=directory.path.name)
        if is_alive(process):
            kill_all(lambda: of_session(process.pid))
        self._wait(lambda: not directory.is_locked(), self._asked_s)

    def _kill_left(self, command_id: UUID) -> None:
        """Programs of a job whose process is gone; they are known by the mark in their environment."""
        kill_all(lambda: marked(JOB_MARK, str(command_id)))


def encode_secrets(secrets: Mapping[str, Secret]) -> bytes:
    """What goes through the pipe: it is complete, or it does not decode."""
    return msgspec.msgpack.encode({name: secret.reveal() for name, secret in secrets.items()})


def read_secrets(pipe: IO[bytes]) -> dict[str, Secret]:
    """The inverse; raises msgspec.DecodeError when the agent died while it wrote."""
    data = pipe.read(_SECRET_BYTES_MAX)
    return {
        name: Secret(value) for name, value in msgspec.msgpack.decode(data, type=dict[str, bytes]).items()
    }


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
