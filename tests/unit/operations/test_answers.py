"""What a guest's words mean to the step that waits."""

from uuid import UUID

import msgspec
import pytest

from muniment.contract.errors import Code, GuestError
from muniment.contract.messages import Ack, FromGuest, JobState, Outcome, Verdict, encode
from muniment.contract.ops import JobReport
from muniment.operations.answers import Answer, Done, Error, Runs, read_answer
from muniment.store.state import SignalRow

COMMAND, QUESTION = UUID(int=1), UUID(int=2)


def read(message: FromGuest) -> Answer | None:
    """Read what the conductor filed for the command."""
    row = SignalRow(
        id=UUID(int=3),
        operation_id=UUID(int=4),
        command_id=COMMAND,
        kind="outcome",
        payload=encode(message),
        at_s=0.0,
    )
    return read_answer(row)


def refused(code: Code, *, retryable: bool = False) -> Outcome:
    """A command that did not succeed."""
    error = GuestError(code=code, message="because", retryable=retryable)
    return Outcome(command_id=COMMAND, ok=False, error=error)


def report(state: JobState, outcome: Outcome | None = None) -> Outcome:
    """The answer to a question about the command."""
    result = msgspec.json.encode(JobReport(state=state, outcome=outcome))
    return Outcome(command_id=QUESTION, ok=True, result=result)


def test_an_outcome_is_the_answer() -> None:
    """Its result is passed on as it is."""
    assert read(Outcome(command_id=COMMAND, ok=True, result=b'{"a":1}')) == Done(b'{"a":1}')


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_a_known_failure(code: Code) -> None:
    """Whatever the guest says went wrong, it is known that the command has ended."""
    answer = read(refused(code))
    assert isinstance(answer, Error)
    assert code in answer.details


def test_what_an_owner_can_act_on_is_told() -> None:
    """A refusal of the engine is for the owner; a defect of the agent is not."""
    refusal, defect = read(refused(Code.DB_REFUSED)), read(refused(Code.INTERNAL))
    assert isinstance(refusal, Error)
    assert isinstance(defect, Error)
    assert (refusal.message, defect.message) == ("because", "")


@pytest.mark.parametrize("code", [Code.BUSY, Code.EXPIRED])
def test_what_was_never_begun_may_be_tried_again(code: Code) -> None:
    """Busy and expired commands have had no effect."""
    answer = read(refused(code))
    assert isinstance(answer, Error)
    assert answer.retryable


def test_a_report_can_bring_the_outcome() -> None:
    """A finished command's recorded outcome counts as if it had come by itself."""
    finished = report(JobState.FINISHED, Outcome(command_id=COMMAND, ok=True, result=b"{}"))
    assert read(finished) == Done(b"{}")


def test_a_running_job_runs() -> None:
    """A sign of life is no end."""
    assert read(report(JobState.RUNNING)) == Runs()


def test_never_is_a_known_failure() -> None:
    """The guest has promised that the command will have no effect."""
    answer = read(report(JobState.NEVER))
    assert isinstance(answer, Error)
    assert answer.retryable


def test_a_rejected_command_has_failed() -> None:
    """A rejection of the command itself ends it; one of the question says nothing about it."""
    assert isinstance(read(Ack(command_id=COMMAND, verdict=Verdict.REJECTED, reason="no")), Error)
    assert read(Ack(command_id=QUESTION, verdict=Verdict.REJECTED, reason="no")) is None


def test_a_question_that_failed_says_nothing() -> None:
    """Only an answer is an answer."""
    assert read(Outcome(command_id=QUESTION, ok=False)) is None
