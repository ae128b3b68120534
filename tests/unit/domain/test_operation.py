"""The operation's fold: what its history tells, and what no history may hold."""

from uuid import UUID

import pytest

from muniment.domain.arguments import NoArguments
from muniment.domain.event import Event
from muniment.domain.history import IllegalHistory
from muniment.domain.occupancy import Hold
from muniment.domain.operation import (
    OPERATION,
    Asked,
    CancelRequested,
    Completed,
    End,
    Extended,
    Failed,
    GaveUp,
    Intended,
    Operation,
    Phase,
    Progress,
    Started,
    Subject,
    SubjectKind,
    Succeeded,
    UndoIntended,
    Undone,
    UndoProgress,
    UnwindingStarted,
    Withdrawn,
    command_id,
    operation_id,
)

ID, INSTANCE_ID = UUID(int=1), UUID(int=2)
SUBJECT = Subject(kind=SubjectKind.INSTANCE, id=INSTANCE_ID, hold=Hold.EXCLUSIVE)


def at(version: int) -> dict[str, object]:
    """Where an event stands."""
    return {"originator_id": ID, "originator_version": version}


STARTED = Started(
    originator_id=ID,
    originator_version=1,
    kind="restart_instance.1",
    subjects=(SUBJECT,),
    arguments=NoArguments(),
    steps=("stop", "start"),
    project_id="project-1",
    request_id="req-1",
    actor="user:1",
)


def folded(*events: Event) -> Operation:
    """The state after the start and these events, which get their versions here."""
    state = OPERATION.fold(None, [STARTED])
    assert state is not None
    for event in events:
        state = OPERATION.fold(state, [event])
        assert state is not None
    return state


def test_a_new_operation_waits_in_all_its_steps() -> None:
    """The start says who asked for what, and that nothing was begun."""
    operation = folded()
    assert (operation.kind, operation.verb, operation.actor) == (
        "restart_instance.1",
        "restart_instance",
        "user:1",
    )
    assert operation.subject(SubjectKind.INSTANCE) == SUBJECT
    assert operation.subject(SubjectKind.BACKUP) is None
    assert [(s.name, s.progress, s.attempted) for s in operation.steps.values()] == [
        ("stop", Progress.WAITING, False),
        ("start", Progress.WAITING, False),
    ]


def test_a_step_goes_from_intent_to_success() -> None:
    """A command's expiry is the intent's deadline, and questions move the deadline alone."""
    operation = folded(
        Intended(**at(2), step="stop", failures=0, deadline_s=60.0, command_id=UUID(int=7), epoch=1),
        Asked(**at(3), step="stop", deadline_s=75.0),
        Extended(**at(4), step="stop", deadline_s=110.0),
    )
    step = operation.steps["stop"]
    assert (step.progress, step.deadline_s, step.expires_s, step.asked) == (Progress.PENDING, 110.0, 60.0, 0)
    done = OPERATION.fold(operation, [Succeeded(**at(5), step="stop")])
    assert done is not None
    assert done.steps["stop"].progress is Progress.SUCCEEDED


def test_a_known_failure_counts_and_a_withdrawal_does_not() -> None:
    """The number of known failures is part of the next command's id; a call that was never made uses up no try."""
    operation = folded(
        Intended(**at(2), step="stop", failures=0, call_by_s=20.0, settled_at_s=35.0),
        Withdrawn(**at(3), step="stop"),
        Intended(**at(4), step="stop", failures=0, call_by_s=40.0, settled_at_s=55.0),
        Failed(**at(5), step="stop", failures=1, error="no host", retry_at_s=60.0),
    )
    step = operation.steps["stop"]
    assert (step.failures, step.progress, step.attempted, step.retry_at_s) == (
        1,
        Progress.WAITING,
        True,
        60.0,
    )


def test_the_last_failure_is_for_good() -> None:
    """A failure without another try ends the step."""
    operation = folded(
        Intended(**at(2), step="stop", failures=2),
        Failed(**at(3), step="stop", failures=3, error="no", retry_at_s=None),
    )
    assert operation.steps["stop"].progress is Progress.FAILED


def test_unwinding_remembers_what_is_unsure() -> None:
    """A step that was given up stays so while the others are undone."""
    operation = folded(
        Intended(**at(2), step="stop", failures=0, command_id=UUID(int=7), epoch=1),
        CancelRequested(**at(3)),
        GaveUp(**at(4), step="stop"),
        UnwindingStarted(**at(5), reason="no answer", unsure=("stop",)),
        UndoIntended(**at(6), step="stop"),
        Undone(**at(7), step="stop"),
    )
    assert (operation.phase, operation.unsure, operation.is_cancelled) == (Phase.UNWINDING, ("stop",), True)
    assert operation.steps["stop"].undo is UndoProgress.UNDONE


@pytest.mark.parametrize(
    ("retry_at_s", "is_stopped"), [(9.0, True), (None, False)], ids=["to be tried again", "for good"]
)
def test_a_cancel_is_the_cause_unless_a_step_had_failed_for_good(
    retry_at_s: float | None, is_stopped: bool
) -> None:
    """What fails after the cancel does not change that; what failed for good before it is the cause."""
    operation = folded(
        Intended(**at(2), step="stop", failures=0),
        Failed(**at(3), step="stop", failures=1, error="no", retry_at_s=retry_at_s),
        CancelRequested(**at(4)),
        Failed(**at(5), step="start", failures=1, error="no", retry_at_s=None),
    )
    assert (operation.is_cancelled, operation.is_stopped) == (True, is_stopped)


def test_nothing_follows_the_end() -> None:
    """A late writer's event is an illegal history, not a change."""
    ended = folded(Completed(**at(2), outcome=End.TAKEN_OVER))
    assert (ended.phase, ended.outcome) == (Phase.ENDED, End.TAKEN_OVER)
    with pytest.raises(IllegalHistory, match="after the end"):
        OPERATION.fold(ended, [Succeeded(**at(3), step="stop")])


@pytest.mark.parametrize(
    "event",
    [
        Succeeded(**at(2), step="dance"),
        Succeeded(**at(3), step="stop"),
        Succeeded(originator_id=INSTANCE_ID, originator_version=2, step="stop"),
        STARTED,
    ],
    ids=["unknown step", "gap", "other stream", "second start"],
)
def test_the_fold_refuses_what_no_decider_produces(event: Event) -> None:
    """Unknown steps, gaps, foreign streams and second starts are illegal."""
    with pytest.raises(IllegalHistory):
        folded(event)


def test_a_stream_begins_with_its_start() -> None:
    """Anything else first is illegal."""
    with pytest.raises(IllegalHistory, match="begins with Started"):
        OPERATION.fold(None, [CancelRequested(**at(1))])


def test_ids_follow_from_what_they_name() -> None:
    """The same request meets the same operation; the same try of a step meets the same command."""
    assert operation_id(INSTANCE_ID, "restart_instance.1", "req-1") == operation_id(
        INSTANCE_ID, "restart_instance.1", "req-1"
    )
    assert operation_id(INSTANCE_ID, "restart_instance.1", "req-2") != operation_id(
        INSTANCE_ID, "restart_instance.1", "req-1"
    )
    assert len({command_id(ID, "stop", 0), command_id(ID, "stop", 1), command_id(ID, "start", 0)}) == 3
