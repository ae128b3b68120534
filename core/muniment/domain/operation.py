"""An operation: a durable process in its own words. Its stream is written by the holder of its claim alone; the one
exception is a transaction of the API, for its start and for its end by a take-over."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

import msgspec

from muniment.domain.arguments import Arguments
from muniment.domain.event import Aggregate, Event, Personal, topic
from muniment.domain.history import IllegalHistory
from muniment.domain.occupancy import Hold

__all__ = [
    "OPERATION", "Asked", "Blocked", "CancelRequested", "Completed", "End", "Extended", "Failed", "GaveUp",
    "Intended", "Operation", "OperationStep", "Phase", "Progress", "Started", "StepEvent", "Subject", "SubjectKind",
    "Succeeded", "UndoIntended", "UndoProgress", "Undone", "UnwindingStarted", "Withdrawn", "command_id",
    "operation_id", "verb_of",
]  # fmt: skip


def operation_id(subject_id: UUID, kind: str, request_id: str) -> UUID:
    """The id of the operation that a request starts: a repeated request starts nothing new.

    `kind` is versioned, like `create_instance.1`.
    """
    return uuid5(subject_id, f"{kind}:{request_id}")


def command_id(operation: UUID, step: str, failures: int) -> UUID:
    """The id of what a step asks a guest, by the number of its *known* failures: an unknown outcome keeps its id."""
    return uuid5(operation, f"{step}:{failures}")


def verb_of(kind: str) -> str:
    """A kind without its version.

    >>> verb_of("create_instance.1")
    'create_instance'
    """
    return kind.rpartition(".")[0]


class SubjectKind(StrEnum):
    """What an operation can work on."""

    INSTANCE = "instance"
    BACKUP = "backup"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that the operation occupies until it ends."""

    kind: SubjectKind
    id: UUID
    hold: Hold


class End(StrEnum):
    """How an operation ended. `failed_unknown`: an effect may still come, under an instance epoch that is stale."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FAILED_UNKNOWN = "failed_unknown"
    TAKEN_OVER = "taken_over"
    RESET = "reset"


# -- events ------------------------------------------------------------------------------------------------------------


@topic("operation.started.1")
class Started(Event, frozen=True, kw_only=True):
    """Somebody asked for it; it is in the queue."""

    kind: str
    subjects: tuple[Subject, ...]
    arguments: Arguments
    steps: tuple[str, ...]


class StepEvent(Event, frozen=True, kw_only=True):
    """Something about one step."""

    step: str


@topic("operation.intended.1")
class Intended(StepEvent, frozen=True, kw_only=True):
    """The step's effect may come from now on.

    A call to a cloud begins at the latest at `call_by_s`, and what it did is visible by `settled_at_s`. A command to a
    guest has an id and the instance epoch it was made under.
    """

    failures: int
    """Known failures before this try; part of the command's id."""
    deadline_s: float | None = None
    call_by_s: float | None = None
    settled_at_s: float | None = None
    command_id: UUID | None = None
    epoch: int | None = None


@topic("operation.step_succeeded.1")
class Succeeded(StepEvent, frozen=True, kw_only=True):
    """Its effect was seen."""


@topic("operation.step_failed.1")
class Failed(StepEvent, frozen=True, kw_only=True):
    """It is known that the effect is not there and will not come from this try."""

    failures: int
    """Known failures with this one."""
    error: Personal
    """For administrators; may name what the tenant named."""
    retry_at_s: float | None
    """None: it is not tried again."""
    message: Personal = ""
    """What its owner may read of the reason; empty where that is nobody's business."""


@topic("operation.step_withdrawn.1")
class Withdrawn(StepEvent, frozen=True, kw_only=True):
    """The permit ran out before the call was made, says the worker that held it: no try was used."""


@topic("operation.asked.1")
class Asked(StepEvent, frozen=True, kw_only=True):
    """The guest was silent past the deadline and was asked what became of the command."""

    deadline_s: float


@topic("operation.extended.1")
class Extended(StepEvent, frozen=True, kw_only=True):
    """The guest says that the job runs."""

    deadline_s: float


@topic("operation.gave_up.1")
class GaveUp(StepEvent, frozen=True, kw_only=True):
    """Asked often enough: what became of the command stays unknown."""


@topic("operation.cancel_requested.1")
class CancelRequested(Event, frozen=True, kw_only=True):
    """No new step begins."""


@topic("operation.unwinding_started.1")
class UnwindingStarted(Event, frozen=True, kw_only=True):
    """From here on what was attempted is undone, in reverse."""

    reason: Personal
    unsure: tuple[str, ...] = ()
    """Steps whose outcome is unknown for good."""


@topic("operation.undo_intended.1")
class UndoIntended(StepEvent, frozen=True, kw_only=True):
    """The undo of a step began."""


@topic("operation.undone.1")
class Undone(StepEvent, frozen=True, kw_only=True):
    """Nothing of the step is left, or what is left is named in `left` with who removes it."""

    left: str = ""


@topic("operation.blocked.1")
class Blocked(StepEvent, frozen=True, kw_only=True):
    """A removal takes far longer than it should; it is tried on."""

    reason: str


@topic("operation.completed.1")
class Completed(Event, frozen=True, kw_only=True):
    """The end; nothing follows."""

    outcome: End
    message: Personal = ""
    """The one message for its owner."""
    reason: Personal = ""
    """For administrators."""


# -- state -------------------------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """Which way an operation goes."""

    FORWARD = "forward"
    UNWINDING = "unwinding"
    ENDED = "ended"


class Progress(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"
    """Not begun, or to be tried again at `retry_at_s`."""
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Known, and not tried again."""
    GIVEN_UP = "given_up"


class UndoProgress(StrEnum):
    """Where the undo of a step stands."""

    NONE = "none"
    PENDING = "pending"
    UNDONE = "undone"


class OperationStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step as the history tells it."""

    name: str
    progress: Progress = Progress.WAITING
    undo: UndoProgress = UndoProgress.NONE
    attempted: bool = False
    failures: int = 0
    """Known ones."""
    asked: int = 0
    """Questions since the last sign of life."""
    deadline_s: float | None = None
    expires_s: float | None = None
    """When a command to a guest may not be begun any more; questions and progress move the deadline, not this."""
    call_by_s: float | None = None
    settled_at_s: float | None = None
    retry_at_s: float | None = None
    command_id: UUID | None = None
    epoch: int | None = None
    error: str = ""
    message: str = ""
    began_at: datetime | None = None
    """When it was first intended."""
    intended_at: datetime | None = None
    ended_at: datetime | None = None
    undo_began_at: datetime | None = None
    is_blocked: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether no effect of it may still come."""
        return self.progress is not Progress.PENDING


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation as its history tells it."""

    id: UUID
    version: int
    project_id: str
    request_id: str
    actor: str
    kind: str
    subjects: tuple[Subject, ...]
    arguments: Arguments
    steps: dict[str, OperationStep]
    """In the order of their definition."""
    started_at: datetime | None
    ended_at: datetime | None = None
    phase: Phase = Phase.FORWARD
    is_cancelled: bool = False
    is_stopped: bool = False
    """The cancel is why it ends, if it fails: nothing had failed for good when it came."""
    unsure: tuple[str, ...] = ()
    outcome: End | None = None
    message: str = ""
    reason: str = ""

    @property
    def verb(self) -> str:
        """The kind without its version."""
        return verb_of(self.kind)

    def subject(self, kind: SubjectKind) -> Subject | None:
        """The subject of that kind, if it has one."""
        return next((s for s in self.subjects if s.kind is kind), None)


def _started(e: Started) -> Operation:
    return Operation(
        id=e.originator_id,
        version=e.originator_version,
        project_id=e.project_id,
        request_id=e.request_id,
        actor=e.actor,
        kind=e.kind,
        subjects=e.subjects,
        arguments=e.arguments,
        steps={name: OperationStep(name=name) for name in e.steps},
        started_at=e.at,
    )


def _intended(s: OperationStep, e: Intended) -> dict[str, object]:
    return {
        "progress": Progress.PENDING,
        "attempted": True,
        "asked": 0,
        "deadline_s": e.deadline_s,
        "expires_s": e.deadline_s if e.command_id is not None else None,
        "call_by_s": e.call_by_s,
        "settled_at_s": e.settled_at_s,
        "retry_at_s": None,
        "command_id": e.command_id,
        "epoch": e.epoch,
        "began_at": s.began_at or e.at,
        "intended_at": e.at,
    }


def _step_changes(s: OperationStep, e: StepEvent) -> dict[str, object]:
    match e:
        case Intended():
            return _intended(s, e)
        case Succeeded():
            return {"progress": Progress.SUCCEEDED, "ended_at": e.at}
        case Failed():
            told = {
                "failures": e.failures,
                "error": e.error,
                "message": e.message,
                "retry_at_s": e.retry_at_s,
            }
            if e.retry_at_s is None:
                return {**told, "progress": Progress.FAILED, "ended_at": e.at}
            return {**told, "progress": Progress.WAITING}
        case Withdrawn():
            return {"progress": Progress.WAITING}
        case Asked():
            return {"asked": s.asked + 1, "deadline_s": e.deadline_s}
        case Extended():
            return {"asked": 0, "deadline_s": e.deadline_s}
        case GaveUp():
            return {"progress": Progress.GIVEN_UP, "ended_at": e.at}
        case UndoIntended():
            return {"undo": UndoProgress.PENDING, "undo_began_at": e.at}
        case Undone():
            return {"undo": UndoProgress.UNDONE}
        case Blocked():
            return {"is_blocked": True, "error": e.reason}
    raise IllegalHistory(f"{type(e).__name__} does not belong into an operation's stream")


def _changes(s: Operation, e: Event) -> dict[str, object]:
    match e:
        case StepEvent():
            if (step := s.steps.get(e.step)) is None:
                raise IllegalHistory(f"operation {s.id} has no step {e.step}")
            changed = msgspec.structs.replace(step, **_step_changes(step, e))
            return {"steps": {**s.steps, e.step: changed}}
        case CancelRequested():
            lost = any(step.progress in (Progress.FAILED, Progress.GIVEN_UP) for step in s.steps.values())
            return {"is_cancelled": True, "is_stopped": not lost}
        case UnwindingStarted():
            return {"phase": Phase.UNWINDING, "unsure": e.unsure, "reason": e.reason}
        case Completed():
            return {
                "phase": Phase.ENDED,
                "outcome": e.outcome,
                "message": e.message,
                "reason": e.reason,
                "ended_at": e.at,
            }
    raise IllegalHistory(f"{type(e).__name__} does not belong into an operation's stream")


def apply(state: Operation | None, event: Event) -> Operation:
    """One event more; raises IllegalHistory for what no decider produces, above all for what follows the end."""
    if state is None:
        if not isinstance(event, Started) or event.originator_version != 1:
            raise IllegalHistory(f"an operation's stream begins with Started, not {type(event).__name__}")
        return _started(event)
    if event.originator_version != state.version + 1 or event.originator_id != state.id:
        raise IllegalHistory(f"version {event.originator_version} does not follow {state.version}")
    if state.phase is Phase.ENDED:
        raise IllegalHistory(f"{type(event).__name__} after the end of operation {state.id}")
    return msgspec.structs.replace(state, version=event.originator_version, **_changes(state, event))


OPERATION: Aggregate[Operation] = Aggregate("operation", apply)
