"""One consistent read: streams and state tables as they were at one moment."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from muniment.domain.event import Aggregate, Event
from muniment.secrets.personal import PersonalCipher, ProjectKeys
from muniment.store.chain import StoredRow, verify_row, verify_stream
from muniment.store.events import head, stream_rows
from muniment.store.mapper import decode_event
from muniment.store.personal_keys import StoredKeys
from muniment.store.state import (
    AnswerRow,
    DownlinkRow,
    EnrolmentRow,
    InboxRow,
    KeyRow,
    OutboxRow,
    QueueRow,
    ReplyRow,
    SecretRow,
    SignalRow,
    UnansweredRow,
    WindowRow,
)
from muniment.store.states import Folded, States
from muniment.store.transaction import Row, Transaction

__all__ = ["BatchRow", "Reader"]

S = TypeVar("S")

_OUTBOX = """SELECT id, operation_id, instance_id, op, op_version, args, secret_refs, instance_epoch, set_epoch,
    deadline_s, query_of, sequence, added_at_s, sent_at_s FROM outbox"""


class BatchRow(msgspec.Struct, frozen=True):
    """A save that happened; without events, `first_position` is larger than `last_position`."""

    id: UUID
    at_s: float
    first_position: int
    last_position: int


class Reader:
    """Reads within one snapshot; from `Ledger.reading()`, and only inside its `with` block."""

    def __init__(self, tx: Transaction, cipher: PersonalCipher, states: States) -> None:
        """Read in `tx`, personal fields opened with `cipher`; go on from `states`, and leave there what is folded."""
        self._tx = tx
        self._keys = StoredKeys(tx, cipher)
        self._states = states

    def load(self, aggregate: Aggregate[S], stream_id: UUID) -> S | None:
        """The state of a stream, or None if there is no such stream.

        Of a stream that this process folded before, only what is newer is read; what lies before was proven then.

        Raises:
            BrokenChain: the stream was altered.
        """
        before = self._states.find(aggregate, stream_id)
        after = None if before is None else self._continued(aggregate, stream_id, before)
        if after is None:
            rows = stream_rows(self._tx, stream_id)
            verify_stream(rows)
            after = self._folded(aggregate, rows, None)
        if after is not before:
            self._states.keep(aggregate, stream_id, after)
        return None if after is None else after.state

    def _continued(self, aggregate: Aggregate[S], stream_id: UUID, before: Folded) -> Folded | None:
        """What was folded before with what is newer; None if it no longer holds in this snapshot."""
        if any(self._keys(project_id) is not keys for project_id, keys in before.keys.items()):
            return None
        # From its last event on: that tells whether this is the same stream still, and whether it reaches so far.
        rows = stream_rows(self._tx, stream_id, gt=before.version - 1)
        if not rows or (rows[0].version, rows[0].digest) != (before.version, before.digest):
            return None
        verify_row(rows[0])
        verify_stream(rows[1:], before=rows[0])
        return self._folded(aggregate, rows[1:], before)

    def _folded(
        self, aggregate: Aggregate[S], rows: Sequence[StoredRow], before: Folded | None
    ) -> Folded | None:
        if not rows:
            return before
        used: dict[str, ProjectKeys] = {} if before is None else dict(before.keys)

        def keys(project_id: str) -> ProjectKeys:
            return used.setdefault(project_id, self._keys(project_id))

        events = [decode_event(row.topic, row.body, keys) for row in rows]
        state = aggregate.fold(None if before is None else before.state, events)
        return Folded(state, rows[-1].version, rows[-1].digest, used)

    def history(self, stream_id: UUID, *, until_version: int | None = None) -> list[Event]:
        """The events of a stream in their newest versions; its chain is checked before anything is decoded."""
        rows = stream_rows(self._tx, stream_id, lte=until_version)
        verify_stream(rows)
        return [decode_event(row.topic, row.body, self._keys) for row in rows]

    def head(self) -> int:
        """The position of the last event; 0 while there is none."""
        return head(self._tx)

    def batch(self, batch_id: UUID) -> BatchRow | None:
        """The save with this id, if it happened."""
        return self._tx.struct(BatchRow, "SELECT * FROM batches WHERE id = :id", {"id": batch_id})

    def queue_row(self, operation_id: UUID) -> QueueRow | None:
        """An operation's row in the queue, also after its end."""
        statement = "SELECT * FROM queue WHERE operation_id = :operation_id"
        return self._tx.struct(QueueRow, statement, {"operation_id": operation_id})

    def queue(self) -> list[QueueRow]:
        """All operations that have not ended, the longest due first."""
        return self._tx.structs(
            QueueRow, "SELECT * FROM queue WHERE done_at_s IS NULL ORDER BY due_s, operation_id"
        )

    def signals(self, operation_id: UUID) -> list[SignalRow]:
        """What reached an operation and is not yet used, oldest first."""
        statement = "SELECT * FROM signals WHERE operation_id = :operation_id ORDER BY at_s, id"
        return self._tx.structs(SignalRow, statement, {"operation_id": operation_id})

    def unanswered(self, instance_id: UUID) -> UnansweredRow | None:
        """The command of an instance that waits for its answer."""
        statement = "SELECT * FROM unanswered WHERE instance_id = :instance_id"
        return self._tx.struct(UnansweredRow, statement, {"instance_id": instance_id})

    def outbox_due(self, limit: int) -> list[OutboxRow]:
        """Rows that no relay has sent, oldest first."""
        statement = (
            f"{_OUTBOX} WHERE sent_at_s IS NULL ORDER BY added_at_s, instance_id, sequence LIMIT :limit"
        )
        return [_outbox(row) for row in self._tx.rows(statement, {"limit": limit})]

    def outbox_row(self, row_id: UUID | str) -> OutboxRow | None:
        """One row of the outbox, sent or not."""
        row = self._tx.row(f"{_OUTBOX} WHERE id = :id", {"id": row_id})
        return _outbox(row) if row else None

    def outbox_of(self, instance_id: UUID) -> list[OutboxRow]:
        """All rows of an instance that are still wanted, in the order of their numbers."""
        rows = self._tx.rows(
            f"{_OUTBOX} WHERE instance_id = :instance_id ORDER BY sequence", {"instance_id": instance_id}
        )
        return [_outbox(row) for row in rows]

    def counted(self, project_id: str) -> dict[str, dict[str, int]]:
        """What a project has in use and reserved: resource -> {"in_use": n, "reserved": n}."""
        counted: dict[str, dict[str, int]] = {}
        statement = """SELECT resource, state, SUM(delta) AS total FROM reservations
            WHERE project_id = :project_id AND state <> 'released' GROUP BY resource, state ORDER BY resource"""
        for row in self._tx.rows(statement, {"project_id": project_id}):
            of_resource = counted.setdefault(row["resource"], {"in_use": 0, "reserved": 0})
            of_resource["in_use" if row["state"] == "committed" else "reserved"] = int(row["total"])
        return counted

    def reservation(self, operation_id: UUID) -> dict[str, tuple[int, str]]:
        """What an operation reserved: resource -> (delta, reserved | committed | released)."""
        rows = self._tx.rows(
            "SELECT resource, delta, state FROM reservations WHERE operation_id = :operation_id ORDER BY resource",
            {"operation_id": operation_id},
        )
        return {row["resource"]: (row["delta"], row["state"]) for row in rows}

    def secret(self, ref: UUID) -> SecretRow | None:
        """A sealed value by its reference."""
        return self._tx.struct(SecretRow, "SELECT * FROM secrets WHERE ref = :ref", {"ref": ref})

    def key(self, purpose: str, owner: str, epoch: int) -> bytes | None:
        """A wrapped key."""
        statement = "SELECT wrapped FROM keys WHERE purpose = :purpose AND owner = :owner AND epoch = :epoch"
        row = self._tx.row(statement, {"purpose": purpose, "owner": owner, "epoch": epoch})
        return row["wrapped"] if row else None

    def keys(self, purpose: str, owner: str) -> list[KeyRow]:
        """All wrapped keys of an owner, lowest epoch first."""
        statement = "SELECT * FROM keys WHERE purpose = :purpose AND owner = :owner ORDER BY epoch"
        return self._tx.structs(KeyRow, statement, {"purpose": purpose, "owner": owner})

    def any_key(self, purpose: str) -> KeyRow | None:
        """One of the wrapped keys of a purpose, to see that it opens; None when there are none."""
        statement = "SELECT * FROM keys WHERE purpose = :purpose ORDER BY owner, epoch LIMIT 1"
        return self._tx.struct(KeyRow, statement, {"purpose": purpose})

    def enrolment(self, instance_id: UUID) -> EnrolmentRow | None:
        """The enrolment of an instance."""
        statement = "SELECT * FROM enrolments WHERE instance_id = :instance_id"
        return self._tx.struct(EnrolmentRow, statement, {"instance_id": instance_id})

    def window(self, instance_id: UUID, direction: str) -> WindowRow | None:
        """Which messages of an instance were seen; hand it to `SaveWindow` as `before`."""
        statement = "SELECT * FROM windows WHERE instance_id = :instance_id AND direction = :direction"
        return self._tx.struct(WindowRow, statement, {"instance_id": instance_id, "direction": direction})

    def inbox(self, limit: int) -> list[InboxRow]:
        """Bytes from guests that no conductor has dealt with, in order of arrival."""
        return self._tx.structs(
            InboxRow, "SELECT * FROM inbox ORDER BY number LIMIT :limit", {"limit": limit}
        )

    def downlinks(self, instance_id: UUID, limit: int) -> list[DownlinkRow]:
        """Sealed bytes that wait for a guest and are not past their time, in order."""
        statement = """SELECT * FROM downlinks WHERE instance_id = :instance_id AND expires_s > :now_s
            ORDER BY number LIMIT :limit"""
        values = {"instance_id": instance_id, "limit": limit, "now_s": self._tx.now_s}
        return self._tx.structs(DownlinkRow, statement, values)

    def downlinks_after(self, number: int) -> tuple[int, set[UUID]]:
        """The number of the newest row for guests, and for whom there are rows above `number`."""
        statement = (
            "SELECT number, instance_id FROM downlinks WHERE number > :number ORDER BY number LIMIT 1000"
        )
        rows = self._tx.rows(statement, {"number": number})
        return (rows[-1]["number"] if rows else number), {UUID(row["instance_id"]) for row in rows}

    def reply(self, query_id: UUID | str) -> ReplyRow | None:
        """The sealed answer of a live query, if it came and is not past its time."""
        statement = "SELECT * FROM replies WHERE query_id = :query_id AND expires_s > :now_s"
        return self._tx.struct(ReplyRow, statement, {"query_id": query_id, "now_s": self._tx.now_s})

    def seen_at(self, instance_id: UUID) -> float | None:
        """When a guest was last heard of, in seconds since 1970."""
        row = self._tx.row(
            "SELECT at_s FROM seen WHERE instance_id = :instance_id", {"instance_id": instance_id}
        )
        return row["at_s"] if row else None

    def volume_report(self, instance_id: UUID) -> bytes | None:
        """What a guest last reported of its data volume: JSON of the contract's `VolumeFacts`."""
        statement = "SELECT facts FROM volume_reports WHERE instance_id = :instance_id"
        row = self._tx.row(statement, {"instance_id": instance_id})
        return row["facts"] if row else None

    def last_heard(self, from_s: float, before_s: float) -> list[UUID]:
        """Guests last heard of from `from_s` on and before `before_s` (seconds since 1970), the longest silent first."""
        statement = """SELECT instance_id FROM seen WHERE at_s >= :from_s AND at_s < :before_s
            ORDER BY at_s, instance_id"""
        rows = self._tx.rows(statement, {"from_s": from_s, "before_s": before_s})
        return [UUID(row["instance_id"]) for row in rows]

    def answer(self, project_id: str, key: str) -> AnswerRow | None:
        """The answer kept under an Idempotency-Key, if it is not past its time."""
        statement = (
            "SELECT * FROM answers WHERE project_id = :project_id AND key = :key AND expires_s > :now_s"
        )
        return self._tx.struct(
            AnswerRow, statement, {"project_id": project_id, "key": key, "now_s": self._tx.now_s}
        )


def _outbox(row: Row) -> OutboxRow:
    plain: Mapping[str, Any] = {**row, "secret_refs": msgspec.json.decode(row["secret_refs"])}
    return msgspec.convert(plain, OutboxRow, builtin_types=(bytes,))
