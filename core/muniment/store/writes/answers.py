"""Answers kept for repeated requests, and the upkeep of all rows that have a time to live."""

from typing import ClassVar

from muniment.store.conflict import Conflict
from muniment.store.state import Rank
from muniment.store.transaction import Transaction
from muniment.store.writes.write import Write

__all__ = ["KeepAnswer", "Prune"]


class KeepAnswer(Write, frozen=True):
    """Keep the sealed answer of a request with an Idempotency-Key, for its repeats.

    A Conflict if the key has a live answer already: read that one.
    """

    RANK: ClassVar[Rank] = Rank.ANSWERS

    project_id: str
    key: str
    request_digest: bytes
    sealed: bytes
    expires_s: float

    def row_key(self) -> str:
        return f"{self.project_id} {self.key}"

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO answers (project_id, key, request_digest, sealed, expires_s)
            VALUES (:project_id, :key, :request_digest, :sealed, :expires_s)
            ON CONFLICT (project_id, key) DO UPDATE SET request_digest = excluded.request_digest,
                sealed = excluded.sealed, expires_s = excluded.expires_s
            WHERE answers.expires_s <= :now_s RETURNING key"""
        values: dict[str, object] = {
            "project_id": self.project_id,
            "key": self.key,
            "request_digest": self.request_digest,
            "sealed": self.sealed,
            "expires_s": self.expires_s,
            "now_s": tx.now_s,
        }
        if tx.row(statement, values) is None:
            raise Conflict("this Idempotency-Key has an answer already")


class Prune(Write, frozen=True):
    """Delete rows whose time is over, and ids of saves from before `batches_before_s`.

    Ids of saves must outlive the longest retry of one save; a day is plenty.
    """

    RANK: ClassVar[Rank] = Rank.UPKEEP

    batches_before_s: float

    def apply(self, tx: Transaction) -> None:
        now = {"now_s": tx.now_s}
        tx.run("DELETE FROM secrets WHERE expires_s <= :now_s", now)
        tx.run("DELETE FROM enrolments WHERE expires_s <= :now_s", now)
        tx.run("DELETE FROM downlinks WHERE expires_s <= :now_s", now)
        # An operation withdraws its own rows; a live query has nobody to do so.
        tx.run("DELETE FROM outbox WHERE operation_id IS NULL AND deadline_s <= :now_s", now)
        tx.run("DELETE FROM replies WHERE expires_s <= :now_s", now)
        tx.run("DELETE FROM answers WHERE expires_s <= :now_s", now)
        tx.run("DELETE FROM batches WHERE at_s < :batches_before_s", self)
