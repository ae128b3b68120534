"""What a turn sees: the operation, its subjects and its rows, as they were at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from muniment.domain.backup import BACKUP, Backup
from muniment.domain.instance import INSTANCE, Instance
from muniment.domain.operation import OPERATION, Operation, SubjectKind
from muniment.operations.backup_keys import BACKUP_KEY
from muniment.operations.line import Line, load_line
from muniment.store.reader import Reader
from muniment.store.state import SignalRow, UnansweredRow

__all__ = ["View", "load_view"]


@dataclass(frozen=True)
class View:
    """One consistent read of everything that a turn decides upon."""

    operation: Operation
    instance: Instance | None
    """The subject, or the instance of which the backup is."""
    backup: Backup | None
    signals: Sequence[SignalRow]
    unanswered: UnansweredRow | None
    """The one command of the instance that waits for its answer, whosever it is."""
    line: Line
    """Of the operations that have commands for the instance's guest."""
    pokes: int
    wrapped_key: bytes


def load_view(reader: Reader, operation_id: UUID) -> View:
    """Read an operation with all that belongs to it."""
    operation = reader.load(OPERATION, operation_id)
    queue_row = reader.queue_row(operation_id)
    assert operation is not None, f"operation {operation_id} is in the queue and has no stream"
    assert queue_row is not None, f"operation {operation_id} is not in the queue"
    backup = _subject_backup(reader, operation)
    instance_id = _instance_id(operation, backup)
    instance = reader.load(INSTANCE, instance_id) if instance_id is not None else None
    return View(
        operation=operation,
        instance=instance,
        backup=backup,
        signals=reader.signals(operation_id),
        unanswered=reader.unanswered(instance_id) if instance_id is not None else None,
        line=load_line(reader, instance, operation_id),
        pokes=queue_row.pokes,
        wrapped_key=(reader.key(BACKUP_KEY, str(backup.id), 1) or b"") if backup is not None else b"",
    )


def _subject_backup(reader: Reader, operation: Operation) -> Backup | None:
    subject = operation.subject(SubjectKind.BACKUP)
    return reader.load(BACKUP, subject.id) if subject is not None else None


def _instance_id(operation: Operation, backup: Backup | None) -> UUID | None:
    subject = operation.subject(SubjectKind.INSTANCE)
    if subject is not None:
        return subject.id
    return backup.instance_id if backup is not None else None
