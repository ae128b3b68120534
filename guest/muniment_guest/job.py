"""The process of one job: `python -m muniment_guest.job --config FILE --job DIRECTORY`, started by the agent alone.

It reads its secrets from standard input, does its work, and leaves the outcome as a file. It never speaks to the control
plane. Told to stop (SIGTERM), it cleans up and ends as cancelled.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn
from uuid import UUID

import msgspec
import structlog

from muniment.clock import Clock, SystemClock, seconds
from muniment.contract.errors import Code, GuestError, OpFailed
from muniment.contract.messages import Outcome
from muniment_guest.config import Layout, read_config
from muniment_guest.driver import load_driver
from muniment_guest.duties import JobProgress
from muniment_guest.host import host_of, volume_of
from muniment_guest.jobs import JobCommand, JobDirectory, read_secrets
from muniment_guest.logs import start_logging
from muniment_guest.machine import bug
from muniment_guest.processes import identify
from muniment_guest.work import Work

__all__ = ["JobLine", "main"]

log = structlog.get_logger()

_PROGRESS_S: Final = 0.5
_INCOMPLETE: Final = 3


class JobLine:
    """See `muniment.contract.guest.Job`: progress goes into a file that the agent reads."""

    def __init__(
        self, command_id: UUID, directory: JobDirectory, *, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        """Speak for this command."""
        self.command_id = command_id
        self._directory = directory
        self._elapsed = elapsed
        self._last = (-1.0, "")
        self._seq = 0

    def progress(
        self, phase: str, *, done: int = 0, total: int | None = None, unit: str = "", message: str = ""
    ) -> None:
        """See `Job`. Cancelling needs no look here: the signal raises wherever the job is."""
        now, (last, last_phase) = self._elapsed(), self._last
        if phase == last_phase and now - last < _PROGRESS_S:
            return
        self._last = (now, phase)
        self._seq += 1
        self._directory.write_progress(
            JobProgress(seq=self._seq, phase=phase, done=done, total=total, unit=unit, message=message[:200])
        )


def main() -> int:
    """Run one job to its outcome; the exit code is 0 whenever an outcome was written."""
    parser = argparse.ArgumentParser(prog="python -m muniment_guest.job")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    directory = JobDirectory(options.job)
    identity = identify(os.getpid())
    assert identity is not None
    directory.write_process(identity)
    layout = Layout(read_config(options.config), options.config)
    start_logging(layout.job_log, instance_id=str(layout.config.instance_id), command_id=options.job.name)
    command = directory.read_command()
    assert command is not None, "the agent writes the command before it starts the process"
    _raise_when_told()
    clock = SystemClock()
    outcome = _outcome(layout, directory, command, clock)
    # The outcome is being written: from here on being told to stop comes too late.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if outcome is None:
        return _INCOMPLETE
    directory.write_outcome(outcome)
    return 0


def _outcome(layout: Layout, directory: JobDirectory, command: JobCommand, clock: Clock) -> Outcome | None:
    """Do the work; None when the agent died while it handed the secrets over, which leaves the job lost."""
    try:
        secrets = read_secrets(sys.stdin.buffer)
    except msgspec.DecodeError:
        log.warning("job started without its secrets")
        return None
    try:
        driver = load_driver(layout.config.driver_group, layout.config.datastore)
        work = Work(
            driver.guest(host_of(layout, volume_of(layout))), clock, datastore=layout.config.datastore
        )
        result = work.job(command.op, command.args, secrets, JobLine(command.command_id, directory))
    except OpFailed as failed:
        return _failed(command, failed.error, clock)
    except Exception as error:  # noqa: BLE001 - a driver is foreign code; its bugs become an outcome
        return _failed(command, bug(error, op=command.op), clock)
    return Outcome(
        command_id=command.command_id,
        ok=True,
        result=msgspec.json.encode(result, order="deterministic"),
        started_at=command.at_s,
        finished_at=seconds(clock.now()),
    )


def _failed(command: JobCommand, error: GuestError, clock: Clock) -> Outcome:
    log.warning("job failed", op=command.op, code=error.code, reason=error.message)
    return Outcome(
        command_id=command.command_id,
        ok=False,
        error=error,
        started_at=command.at_s,
        finished_at=seconds(clock.now()),
    )


def _raise_when_told() -> None:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        # Once is enough: what cleans up because of it is not to be interrupted again.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise OpFailed(Code.CANCELLED, "the job was told to stop")

    signal.signal(signal.SIGTERM, stop)


if __name__ == "__main__":
    sys.exit(main())
