"""What a guest's answer means for the step that waits for it."""

from dataclasses import dataclass
from typing import Final

import msgspec

from muniment.contract.errors import Code, GuestError
from muniment.contract.messages import Ack, JobState, Outcome, Verdict, decode_from_guest
from muniment.contract.ops import JobReport
from muniment.store.state import SignalRow

__all__ = ["CANCEL", "Answer", "Done", "Error", "Runs", "read_answer"]

CANCEL: Final = "cancel"
"""Kind of the signal that asks an operation to stop; all other signals are answers of guests."""

_OWNERS: Final = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.UNSUPPORTED,
        Code.CONFLICT,
        Code.PRECONDITION_FAILED,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.RESOURCE_EXHAUSTED,
        Code.DB_REFUSED,
        Code.INTEGRITY_FAILED,
    }
)
"""Codes whose message tells an owner something to act on; the others are about machines that are not theirs."""

_reports = msgspec.json.Decoder(JobReport)


@dataclass(frozen=True)
class Done:
    """The op succeeded; the result is JSON."""

    result: bytes


@dataclass(frozen=True)
class Error:
    """Known: the op did not succeed, and will not under this command."""

    details: str
    retryable: bool
    message: str = ""
    """What an owner may read of it."""


@dataclass(frozen=True)
class Runs:
    """The job runs."""


Answer = Done | Error | Runs
"""What a guest can say of a command."""


def read_answer(signal: SignalRow) -> Answer | None:
    """Read the message that the conductor filed; None for what says nothing new.

    Raises:
        msgspec.MsgspecError: never for what a conductor files, since it decodes before it believes.
    """
    message = decode_from_guest(signal.payload)
    match message:
        case Ack(verdict=Verdict.REJECTED, reason=reason) if message.command_id == signal.command_id:
            return Error(f"the guest rejected the command: {reason}", retryable=False)
        case Outcome() if message.command_id == signal.command_id:
            return _of_outcome(message)
        case Outcome() if message.ok:
            # The answer to a question about the command, under the question's own id.
            return _of_report(_reports.decode(message.result))
    return None


def _of_outcome(outcome: Outcome) -> Answer:
    if outcome.ok:
        return Done(outcome.result)
    error = outcome.error or GuestError(code=Code.INTERNAL, message="no reason given")
    return Error(
        details=f"{error.code}: {error.message}",
        retryable=error.retryable or error.code in (Code.BUSY, Code.EXPIRED),
        message=error.message if error.code in _OWNERS else "",
    )


def _of_report(report: JobReport) -> Answer:
    match report.state:
        case JobState.RUNNING:
            return Runs()
        case JobState.FINISHED if report.outcome is not None:
            return _of_outcome(report.outcome)
    # `never` is a promise that the guest has journaled: the command can arrive a hundred times now.
    return Error("the guest never saw the command", retryable=True)
