"""Operations to drive: enqueue, claim, requeue, poke, end; and the signals that reach them."""

from typing import ClassVar
from uuid import UUID

from muniment.store.conflict import ClaimLost, Conflict
from muniment.store.state import Rank, SignalRow
from muniment.store.transaction import Transaction
from muniment.store.writes.write import Write

__all__ = [
    "AddSignal",
    "EndLeases",
    "EndOperation",
    "Enqueue",
    "Poke",
    "RenewClaim",
    "Requeue",
    "UseSignals",
]

_POKE = """UPDATE queue SET pokes = pokes + 1, due_s = CASE WHEN due_s < :now_s THEN due_s ELSE :now_s END
    WHERE operation_id = :operation_id AND done_at_s IS NULL RETURNING pokes"""


class _OperationWrite(Write, frozen=True):
    """A write under the lock of one operation's queue row."""

    RANK: ClassVar[Rank] = Rank.QUEUE

    operation_id: UUID

    def row_key(self) -> str:
        return str(self.operation_id)


class Enqueue(_OperationWrite, frozen=True):
    """Start driving an operation at `due_s`."""

    kind: str
    due_s: float

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO queue (operation_id, kind, due_s) VALUES (:operation_id, :kind, :due_s)
            ON CONFLICT (operation_id) DO NOTHING RETURNING operation_id"""
        if tx.row(statement, self) is None:
            raise Conflict(f"operation {self.operation_id} is in the queue already")


class Requeue(_OperationWrite, frozen=True):
    """Give the claim back until `due_s`; at once instead, if a poke came since `pokes_seen` was read."""

    claim_no: int
    due_s: float
    pokes_seen: int

    def apply(self, tx: Transaction) -> None:
        statement = """UPDATE queue SET owner = '', lease_until_s = 0,
                due_s = CASE WHEN pokes <> :pokes_seen THEN :now_s ELSE :due_s END
            WHERE operation_id = :operation_id AND claim_no = :claim_no AND done_at_s IS NULL RETURNING claim_no"""
        values = {
            "operation_id": self.operation_id,
            "claim_no": self.claim_no,
            "due_s": self.due_s,
            "pokes_seen": self.pokes_seen,
            "now_s": tx.now_s,
        }
        if tx.row(statement, values) is None:
            raise _claim_lost(self.operation_id, self.claim_no)


class RenewClaim(_OperationWrite, frozen=True):
    """Keep the claim until `lease_until_s`; also the fence of a save that keeps working."""

    claim_no: int
    lease_until_s: float

    def apply(self, tx: Transaction) -> None:
        statement = """UPDATE queue SET lease_until_s = :lease_until_s
            WHERE operation_id = :operation_id AND claim_no = :claim_no AND done_at_s IS NULL RETURNING claim_no"""
        if tx.row(statement, self) is None:
            raise _claim_lost(self.operation_id, self.claim_no)


class EndLeases(Write, frozen=True):
    """Nobody drives anything: every claim may be taken at once, instead of when its lease is over.

    For a process that knows itself to be the only one, after one that was killed. A holder that lives after all is
    fenced by its claim's number as soon as another takes the claim.
    """

    RANK: ClassVar[Rank] = Rank.QUEUE

    def apply(self, tx: Transaction) -> None:
        tx.run("UPDATE queue SET owner = '', lease_until_s = 0 WHERE done_at_s IS NULL AND lease_until_s > 0")


class EndOperation(_OperationWrite, frozen=True):
    """End an operation: nothing of it stays in the queue's tables, and no older claim can save again.

    By the holder with its claim number; by a take-over with None, which fails only if the operation has ended.
    """

    claim_no: int | None

    def apply(self, tx: Transaction) -> None:
        statement = """UPDATE queue SET done_at_s = :now_s, claim_no = claim_no + 1, owner = '', lease_until_s = 0
            WHERE operation_id = :operation_id AND done_at_s IS NULL
                AND claim_no = COALESCE(CAST(:claim_no AS BIGINT), claim_no) RETURNING claim_no"""
        values = {"operation_id": self.operation_id, "claim_no": self.claim_no, "now_s": tx.now_s}
        if tx.row(statement, values) is None:
            if self.claim_no is None:
                raise Conflict(f"operation {self.operation_id} has ended already or was never queued")
            raise _claim_lost(self.operation_id, self.claim_no)
        tx.run("DELETE FROM signals WHERE operation_id = :operation_id", self._named)
        tx.run("DELETE FROM unanswered WHERE operation_id = :operation_id", self._named)
        tx.run("DELETE FROM outbox WHERE operation_id = :operation_id", self._named)
        tx.run("DELETE FROM secrets WHERE owner_operation_id = :operation_id", self._named)

    @property
    def _named(self) -> dict[str, object]:
        return {"operation_id": self.operation_id}


class Poke(_OperationWrite, frozen=True):
    """Make an operation due at once; one that has ended is left alone."""

    def apply(self, tx: Transaction) -> None:
        tx.row(_POKE, {"operation_id": self.operation_id, "now_s": tx.now_s})


class AddSignal(Write, frozen=True):
    """Let something reach an operation, and poke it.

    A second copy (same id) changes nothing; a signal for an operation that has ended is dropped, for nobody would ever
    delete it.
    """

    RANK: ClassVar[Rank] = Rank.QUEUE

    signal: SignalRow

    def row_key(self) -> str:
        return str(self.signal.operation_id)

    def apply(self, tx: Transaction) -> None:
        if tx.row(_POKE, {"operation_id": self.signal.operation_id, "now_s": tx.now_s}) is None:
            return
        statement = """INSERT INTO signals (id, operation_id, command_id, kind, payload, at_s)
            VALUES (:id, :operation_id, :command_id, :kind, :payload, :at_s) ON CONFLICT (id) DO NOTHING"""
        tx.run(statement, self.signal)


class UseSignals(Write, frozen=True):
    """Delete the signals that this save turned into events (or dropped)."""

    RANK: ClassVar[Rank] = Rank.SIGNALS

    ids: tuple[UUID, ...]

    def apply(self, tx: Transaction) -> None:
        for signal_id in sorted(self.ids):
            tx.run("DELETE FROM signals WHERE id = :id", {"id": signal_id})


def _claim_lost(operation_id: UUID, claim_no: int) -> ClaimLost:
    return ClaimLost(f"claim {claim_no} of operation {operation_id} is over")
