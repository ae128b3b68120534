"""Quota: what a project has reserved or uses, never more than its limits."""

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from muniment.domain.refused import Refused
from muniment.store.conflict import Conflict
from muniment.store.state import Rank
from muniment.store.transaction import Transaction
from muniment.store.writes.write import Write

__all__ = ["CommitReservation", "ReleaseReservation", "ReleaseSubject", "Reserve"]

_MOVE = "UPDATE reservations SET state = :state WHERE operation_id = :operation_id AND state = 'reserved'"


class Reserve(Write, frozen=True):
    """Count what an operation may bring into being against the limits of its project, before it begins.

    `limits` are the limits of this moment by resource; a negative or missing one is no limit.
    """

    RANK: ClassVar[Rank] = Rank.RESERVATIONS

    operation_id: UUID
    subject_id: UUID
    project_id: str
    deltas: Mapping[str, int]
    limits: Mapping[str, int]

    def row_key(self) -> str:
        return self.project_id

    def apply(self, tx: Transaction) -> None:
        assert all(delta >= 0 for delta in self.deltas.values()), "only growth is reserved"
        tx.run(
            """INSERT INTO reservation_locks (project_id, taken) VALUES (:project_id, 1)
            ON CONFLICT (project_id) DO UPDATE SET taken = reservation_locks.taken + 1""",
            {"project_id": self.project_id},
        )
        if exceeded := self._exceeded(tx):
            raise _quota_exceeded(exceeded)
        for resource in sorted(self.deltas):
            self._insert(tx, resource)

    def _exceeded(self, tx: Transaction) -> dict[str, dict[str, int]]:
        exceeded = {}
        for resource in sorted(self.deltas):
            asked, limit = self.deltas[resource], self.limits.get(resource, -1)
            used = _in_use(tx, self.project_id, resource)
            # Asking for nothing more is no reason to refuse, even where a limit was lowered below what is used.
            if asked and 0 <= limit < used + asked:
                exceeded[resource] = {"limit": limit, "used": used, "asked": asked}
        return exceeded

    def _insert(self, tx: Transaction, resource: str) -> None:
        statement = """INSERT INTO reservations (operation_id, resource, subject_id, project_id, delta, state)
            VALUES (:operation_id, :resource, :subject_id, :project_id, :delta, 'reserved')
            ON CONFLICT (operation_id, resource) DO NOTHING RETURNING delta"""
        values = {
            "operation_id": self.operation_id,
            "resource": resource,
            "subject_id": self.subject_id,
            "project_id": self.project_id,
            "delta": self.deltas[resource],
        }
        if tx.row(statement, values) is None:
            raise Conflict(f"operation {self.operation_id} has reserved {resource} already")


class CommitReservation(Write, frozen=True):
    """What was reserved exists now. Rows that were committed or released before stay as they are."""

    RANK: ClassVar[Rank] = Rank.RESERVATIONS

    operation_id: UUID

    def row_key(self) -> str:
        return str(self.operation_id)

    def apply(self, tx: Transaction) -> None:
        tx.run(_MOVE, {"operation_id": self.operation_id, "state": "committed"})


class ReleaseReservation(Write, frozen=True):
    """What was reserved does not exist. Rows that were committed or released before stay as they are."""

    RANK: ClassVar[Rank] = Rank.RESERVATIONS

    operation_id: UUID

    def row_key(self) -> str:
        return str(self.operation_id)

    def apply(self, tx: Transaction) -> None:
        tx.run(_MOVE, {"operation_id": self.operation_id, "state": "released"})


class ReleaseSubject(Write, frozen=True):
    """Nothing of an instance or backup exists any more: all that was counted for it is free again."""

    RANK: ClassVar[Rank] = Rank.RESERVATIONS

    subject_id: UUID

    def row_key(self) -> str:
        return str(self.subject_id)

    def apply(self, tx: Transaction) -> None:
        tx.run(
            "UPDATE reservations SET state = 'released' WHERE subject_id = :subject_id AND state <> 'released'",
            self,
        )


def _in_use(tx: Transaction, project_id: str, resource: str) -> int:
    row = tx.row(
        """SELECT COALESCE(SUM(delta), 0) AS used FROM reservations
        WHERE project_id = :project_id AND resource = :resource AND state <> 'released'""",
        {"project_id": project_id, "resource": resource},
    )
    assert row is not None
    return int(row["used"])


def _quota_exceeded(exceeded: dict[str, dict[str, int]]) -> Refused:
    parts = [
        f"{n['used']} of {n['limit']} {resource} used, {n['asked']} more asked"
        for resource, n in exceeded.items()
    ]
    message = f"quota exceeded: {'; '.join(parts)}; delete something or ask for a higher limit"
    return Refused("quota-exceeded", message, status=413, details={"exceeded": exceeded})
