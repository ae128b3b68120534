"""Asking a running operation to stop: what it did is undone, what nothing undoes is waited for."""

from collections.abc import Sequence
from uuid import UUID

from muniment.domain.operation import Operation, Phase
from muniment.domain.refused import Refused
from muniment.operations.answers import CANCEL
from muniment.operations.steps import Definition
from muniment.store.state import SignalRow
from muniment.store.writes import AddSignal

__all__ = ["cancel"]


def cancel(
    operation: Operation,
    definition: Definition,
    waiting: Sequence[SignalRow],
    *,
    signal_id: UUID,
    now_s: float,
) -> list[AddSignal]:
    """Decide what asks an operation to stop; nothing more when it was asked before. `waiting` are its unused signals.

    It still succeeds when its last effect is there before it hears of this.

    Raises:
        Refused: 409, it has ended, is being undone already, or is of a kind that nothing goes back from.
    """
    if operation.phase is Phase.ENDED:
        assert operation.outcome is not None, "an end has an outcome"
        outcome = operation.outcome.replace("_", " ")
        raise Refused("not-cancellable", f"operation {operation.id} has ended already: {outcome}", status=409)
    if not definition.is_cancellable:
        raise Refused(
            "not-cancellable",
            f"operation {operation.id} is to {definition.wants}, which cannot be cancelled",
            status=409,
        )
    if operation.is_cancelled or any(signal.kind == CANCEL for signal in waiting):
        return []
    if operation.phase is Phase.UNWINDING:
        raise Refused(
            "not-cancellable",
            f"operation {operation.id} has failed and is being undone already",
            status=409,
        )
    row = SignalRow(
        id=signal_id, operation_id=operation.id, command_id=None, kind=CANCEL, payload=b"", at_s=now_s
    )
    return [AddSignal(row)]
