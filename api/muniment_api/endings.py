"""Requests that wait for an operation's end, since their answer makes no sense before it."""

from typing import Final
from uuid import UUID

from muniment.domain.operation import OPERATION, End, Operation
from muniment.domain.refused import Refused
from muniment.store.ledger import Ledger
from muniment_api.waiting import Until, Waiting

__all__ = ["Endings"]

_ENDED_BY_OTHERS: Final = frozenset({End.TAKEN_OVER, End.RESET})


class Endings:
    """Waits for operations. Safe to share between threads."""

    def __init__(self, ledger: Ledger, *, limit_s: float = 30.0) -> None:
        """Watch the operations in `ledger`; no request waits longer than `limit_s`."""
        self._ledger = ledger
        self._limit_s = limit_s

    def require(self, operation_id: UUID) -> Waiting[None]:
        """Wait until the operation succeeded.

        Raises:
            Refused: 503 past the limit, with the operation's id: it goes on; 409 when a delete, a reset or a cancel ended
                it; 500 when it failed, with its message.
        """
        yield Until(lambda: self._ended(operation_id) is not None, self._limit_s)
        operation = self._ended(operation_id)
        if operation is None:
            raise Refused(
                "still-running",
                f"operation {operation_id} goes on; look at it under /operations/{operation_id}",
                status=503,
                details={"operation_id": str(operation_id), "retry_after_s": 5},
            )
        if operation.outcome is not End.SUCCEEDED:
            raise Refused(
                "operation-failed",
                operation.message or f"operation {operation_id} {operation.outcome}",
                status=409 if operation.outcome in _ENDED_BY_OTHERS or operation.is_stopped else 500,
            )

    def _ended(self, operation_id: UUID) -> Operation | None:
        operation = self._ledger.load(OPERATION, operation_id)
        return operation if operation is not None and operation.outcome is not None else None
