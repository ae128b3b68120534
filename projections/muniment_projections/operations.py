"""Operations with their steps, as they live: what began when, what ended when, and how long it took."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from muniment.domain.operation import (
    OPERATION,
    Operation,
    OperationStep,
    Phase,
    Progress,
    Started,
    SubjectKind,
    UndoProgress,
)
from muniment_projections.collection import Collection
from muniment_projections.documents import encode, instant, links
from muniment_projections.projection import Projection
from muniment_projections.read_model import ReadModel
from muniment_projections.row import Row, RowTable, View, microseconds

__all__ = ["TABLE", "OperationProjection", "Operations"]

TABLE = RowTable(
    name="operations",
    views=(View.DETAIL, View.ADMIN_DETAIL),
    facets=("instance_id", "backup_id", "has_ended"),
)
_STEP_STATUS = {
    Progress.WAITING: "waiting",  # or, when it never will be, _NOT_RUN
    Progress.PENDING: "running",
    Progress.SUCCEEDED: "succeeded",
    Progress.FAILED: "failed",
    Progress.GIVEN_UP: "given_up",
}


_NOT_RUN = "not_run"


class OperationProjection(Projection[Operation]):
    """One row for each operation, kept for ever: what was done is part of an instance's history."""

    KIND = "operation"
    FORM = 2
    TABLES = (TABLE,)
    BIRTHS = (Started,)
    aggregate = OPERATION
    state_type = Operation

    def rows(self, state: Operation) -> Sequence[Row]:
        """The operation with its steps in the order of their definition."""
        document, steps = _document(state), [_step(step, state.phase) for step in state.steps.values()]
        return (
            Row(
                table=TABLE.name,
                key=str(state.id),
                project_id=state.project_id,
                created_us=microseconds(state.started_at),
                facets={
                    "instance_id": _subject_id(state, SubjectKind.INSTANCE),
                    "backup_id": _subject_id(state, SubjectKind.BACKUP),
                    "has_ended": "yes" if self.is_over(state) else "no",
                },
                documents={
                    View.DETAIL: encode(document | {"steps": steps}),
                    View.ADMIN_DETAIL: encode(document | _admin_members(state, steps)),
                },
            ),
        )

    def instance_of(self, state: Operation) -> UUID | None:
        """The instance it works on."""
        subject = state.subject(SubjectKind.INSTANCE)
        return None if subject is None else subject.id

    def is_over(self, state: Operation) -> bool:
        """Nothing follows the end."""
        return state.phase is Phase.ENDED


class Operations(Collection):
    """The operations of a project, or of all; facets `instance_id`, `backup_id` and `has_ended` (`yes` or `no`)."""

    def __init__(self, read_model: ReadModel) -> None:
        """Read from `read_model`."""
        super().__init__(read_model, TABLE)


def _document(s: Operation) -> dict[str, object]:
    return {
        "id": s.id,
        "kind": s.verb,
        "status": _status(s),
        "instance_id": _subject_id(s, SubjectKind.INSTANCE),
        "backup_id": _subject_id(s, SubjectKind.BACKUP),
        "project_id": s.project_id,
        "request_id": s.request_id,
        "is_cancelled": s.is_cancelled,
        "started_at": instant(s.started_at),
        "ended_at": instant(s.ended_at),
        "duration_s": _duration_s(s.started_at, s.ended_at),
        "message": s.message or None,
        "links": links("operations", s.id),
    }


def _admin_members(s: Operation, steps: list[dict[str, object]]) -> dict[str, object]:
    return {
        "version": s.kind.removeprefix(s.verb).removeprefix("."),
        "actor": s.actor,
        "reason": s.reason or None,
        "unsure": s.unsure,
        "steps": [shown | _admin_step(step) for shown, step in zip(steps, s.steps.values(), strict=True)],
    }


def _status(s: Operation) -> str:
    if s.outcome is not None:
        return s.outcome.value
    return "unwinding" if s.phase is Phase.UNWINDING else "running"


def _step(s: OperationStep, phase: Phase) -> dict[str, object]:
    return {
        "name": s.name,
        "status": _step_status(s, phase),
        "started_at": instant(s.began_at),
        "ended_at": instant(s.ended_at),
        "duration_s": _duration_s(s.began_at, s.ended_at),
        "failures": s.failures,
        "is_blocked": s.is_blocked,
        "message": s.message or None,
    }


def _step_status(s: OperationStep, phase: Phase) -> str:
    match s.undo:
        case UndoProgress.PENDING:
            return "undoing"
        case UndoProgress.UNDONE:
            return "undone"
    if s.progress is Progress.WAITING and s.failures:
        return "retrying"
    if s.progress is Progress.WAITING and phase is not Phase.FORWARD:
        return _NOT_RUN
    return _STEP_STATUS[s.progress]


def _admin_step(s: OperationStep) -> dict[str, object]:
    return {"error": s.error or None, "command_id": s.command_id, "undo_started_at": instant(s.undo_began_at)}


def _subject_id(s: Operation, kind: SubjectKind) -> str | None:
    subject = s.subject(kind)
    return None if subject is None else str(subject.id)


def _duration_s(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else round((end - begin).total_seconds(), 3)
