"""Asking a running operation to stop: what it did is undone, what nothing undoes is waited for."""

from uuid import UUID

from muniment.operations.answers import CANCEL
from muniment.store.state import SignalRow
from muniment.store.writes import AddSignal

__all__ = ["cancel"]


def cancel(operation_id: UUID, *, signal_id: UUID, now_s: float) -> AddSignal:
    """The write that asks. An operation that has ended, or whose last effect is there, is not changed by it."""
    row = SignalRow(
        id=signal_id, operation_id=operation_id, command_id=None, kind=CANCEL, payload=b"", at_s=now_s
    )
    return AddSignal(row)
