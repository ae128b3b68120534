"""Sealed values and wrapped keys."""

from typing import ClassVar
from uuid import UUID

from muniment.store.state import Rank
from muniment.store.transaction import Transaction
from muniment.store.writes.write import Write

__all__ = ["DeleteKey", "PutKey", "PutSecret"]


class PutSecret(Write, frozen=True):
    """Keep a sealed value until its operation ends; events name it by `ref`."""

    RANK: ClassVar[Rank] = Rank.SECRETS

    ref: UUID
    purpose: str
    owner_operation_id: UUID
    sealed: bytes
    expires_s: float

    def row_key(self) -> str:
        return str(self.ref)

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO secrets (ref, purpose, owner_operation_id, sealed, expires_s)
            VALUES (:ref, :purpose, :owner_operation_id, :sealed, :expires_s)
            ON CONFLICT (ref) DO UPDATE SET sealed = excluded.sealed, expires_s = excluded.expires_s"""
        tx.run(statement, self)


class PutKey(Write, frozen=True):
    """Keep a wrapped key, or replace it (wrapped anew under another key-encryption key)."""

    RANK: ClassVar[Rank] = Rank.KEYS

    purpose: str
    owner: str
    epoch: int
    wrapped: bytes

    def row_key(self) -> str:
        return f"{self.purpose} {self.owner} {self.epoch:020}"

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO keys (purpose, owner, epoch, wrapped) VALUES (:purpose, :owner, :epoch, :wrapped)
            ON CONFLICT (purpose, owner, epoch) DO UPDATE SET wrapped = excluded.wrapped"""
        tx.run(statement, self)


class DeleteKey(Write, frozen=True):
    """Delete a key, or without an epoch all of an owner's: what they sealed is unreadable from then on."""

    RANK: ClassVar[Rank] = Rank.KEYS

    purpose: str
    owner: str
    epoch: int | None = None

    def row_key(self) -> str:
        return f"{self.purpose} {self.owner}"

    def apply(self, tx: Transaction) -> None:
        statement = """DELETE FROM keys WHERE purpose = :purpose AND owner = :owner
            AND epoch = COALESCE(CAST(:epoch AS BIGINT), epoch)"""
        tx.run(statement, self)
