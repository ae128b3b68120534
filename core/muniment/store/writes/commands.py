"""Commands on their way to a guest, and the one of each instance that waits for its answer."""

from typing import ClassVar
from uuid import UUID

import msgspec

from muniment.store.conflict import InstanceBusy
from muniment.store.state import OutboxRow, Rank
from muniment.store.transaction import Transaction
from muniment.store.writes.write import Write

__all__ = ["AddOutbox", "CloseCommand", "Heard", "MarkSent", "OpenCommand", "WithdrawOutbox"]

_encoder = msgspec.json.Encoder()


class CloseCommand(Write, frozen=True):
    """The command was answered, or given up."""

    RANK: ClassVar[Rank] = Rank.ANSWERED

    command_id: UUID

    def row_key(self) -> str:
        return str(self.command_id)

    def apply(self, tx: Transaction) -> None:
        tx.run("DELETE FROM unanswered WHERE command_id = :command_id", self)


class Heard(Write, frozen=True):
    """The guest said that it works on the command. Not an event: progress would be most of the log."""

    RANK: ClassVar[Rank] = Rank.ANSWERED

    command_id: UUID
    at_s: float

    def row_key(self) -> str:
        return str(self.command_id)

    def apply(self, tx: Transaction) -> None:
        statement = """UPDATE unanswered SET heard_at_s = :at_s
            WHERE command_id = :command_id AND COALESCE(heard_at_s, 0) < :at_s"""
        tx.run(statement, self)


class OpenCommand(Write, frozen=True):
    """An instance gets a mutating command, which is the only one until it is closed."""

    RANK: ClassVar[Rank] = Rank.UNANSWERED

    instance_id: UUID
    command_id: UUID
    operation_id: UUID

    def row_key(self) -> str:
        return str(self.instance_id)

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO unanswered (instance_id, command_id, operation_id)
            VALUES (:instance_id, :command_id, :operation_id)
            ON CONFLICT DO NOTHING RETURNING instance_id"""
        if tx.row(statement, self) is None:
            raise InstanceBusy(f"instance {self.instance_id} has an unanswered command")


class AddOutbox(Write, frozen=True):
    """Send a command or query; its message number within the instance is drawn here. Known ids are sent once."""

    RANK: ClassVar[Rank] = Rank.OUTBOX

    row: OutboxRow

    def row_key(self) -> str:
        return str(self.row.instance_id)

    def apply(self, tx: Transaction) -> None:
        drawn = tx.row(
            """INSERT INTO outbox_sequences (instance_id, last) VALUES (:instance_id, 1)
            ON CONFLICT (instance_id) DO UPDATE SET last = outbox_sequences.last + 1 RETURNING last""",
            {"instance_id": self.row.instance_id},
        )
        assert drawn is not None
        values: dict[str, object] = msgspec.structs.asdict(self.row)
        values |= {
            "secret_refs": _encoder.encode(self.row.secret_refs),
            "sequence": drawn["last"],
            "added_at_s": tx.now_s,
        }
        tx.run(
            """INSERT INTO outbox (id, operation_id, instance_id, op, op_version, args, secret_refs, instance_epoch,
                set_epoch, deadline_s, query_of, sequence, added_at_s)
            VALUES (:id, :operation_id, :instance_id, :op, :op_version, :args, :secret_refs, :instance_epoch,
                :set_epoch, :deadline_s, :query_of, :sequence, :added_at_s)
            ON CONFLICT (id) DO NOTHING""",
            values,
        )


class WithdrawOutbox(Write, frozen=True):
    """Take back what is no longer wanted; a relay that holds a row already may still send it."""

    RANK: ClassVar[Rank] = Rank.OUTBOX

    ids: tuple[str, ...]

    def apply(self, tx: Transaction) -> None:
        for row_id in sorted(map(str, self.ids)):
            tx.run("DELETE FROM outbox WHERE id = :id", {"id": row_id})


class MarkSent(Write, frozen=True):
    """The relay handed the row to a transport."""

    RANK: ClassVar[Rank] = Rank.OUTBOX

    id: str
    at_s: float

    def row_key(self) -> str:
        return str(self.id)

    def apply(self, tx: Transaction) -> None:
        tx.run("UPDATE outbox SET sent_at_s = :at_s WHERE id = :id", self)
