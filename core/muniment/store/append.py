"""One save: state rows in their order, then under the append lock log time, sealing, chain and the events themselves.

The same statements serve every store; a recorder only opens the transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from eventsourcing.persistence import StoredEvent

from muniment.clock import Clock, seconds
from muniment.domain.event import Event
from muniment.secrets.personal import PersonalCipher
from muniment.store.chain import GENESIS, digest
from muniment.store.conflict import Conflict
from muniment.store.mapper import Draft, encode_event
from muniment.store.personal_keys import SealingKeys
from muniment.store.transaction import Cursor, Transaction
from muniment.store.writes import Write

__all__ = ["Append"]

_INSERT = """INSERT INTO events (originator_id, originator_version, topic, state, previous, digest)
    VALUES (:originator_id, :originator_version, :topic, :state, :previous, :digest) RETURNING position"""
_INSERT_BATCH = """INSERT INTO batches (id, at_s, first_position, last_position)
    VALUES (:id, :at_s, :first_position, :last_position)"""
_LAST_OF_STREAM = """SELECT originator_version, digest FROM events WHERE originator_id = :originator_id
    ORDER BY originator_version DESC LIMIT 1"""
_LAST_OF_LOG = "SELECT position, state FROM events ORDER BY position DESC LIMIT 1"


class _Stamped(msgspec.Struct):
    """The one field of a stored body that the next append needs."""

    at: datetime


_log_time = msgspec.json.Decoder(_Stamped)


class Append:
    """What one save carries, and what became of it: the recorder calls `run` inside its transaction."""

    def __init__(self, batch: UUID, writes: Sequence[Write], *, clock: Clock, cipher: PersonalCipher) -> None:
        """Prepare a save with the id `batch`, the same over all its tries."""
        self.batch = batch
        self.events: list[Event] = []
        """The events as they were stored."""
        self.position = 0
        """The log's head after the save."""
        self._writes = sorted(writes, key=lambda write: (write.RANK, write.row_key()))
        self._clock = clock
        self._cipher = cipher

    def run(self, cursor: Cursor, drafts: Sequence[StoredEvent]) -> list[int]:
        """Write everything, inside the recorder's transaction; returns the positions of the events.

        Raises:
            NotSaved, Refused: a guard does not hold, or the batch is stored. The recorder rolls back on any exception.
        """
        tx = Transaction(cursor, now_s=seconds(self._clock.now()))
        for write in self._writes:
            write.apply(tx)
        positions = self._insert_events(tx, drafts)
        batch = {
            "id": str(self.batch),
            "at_s": tx.now_s,
            "first_position": positions[0] if positions else self.position + 1,
            "last_position": self.position,
        }
        # A batch that is stored breaks the key here, in the database, where no exception of ours could come too late.
        tx.run(_INSERT_BATCH, batch)
        return positions

    def _insert_events(self, tx: Transaction, drafts: Sequence[StoredEvent]) -> list[int]:
        last = tx.row(_LAST_OF_LOG)
        self.position, at = (last["position"], _log_time.decode(last["state"]).at) if last else (0, None)
        # The clock is read after the lock was taken, and never believed when it went backwards.
        now = self._clock.now()
        at = now if at is None else max(now, at)
        heads: dict[UUID, tuple[int, bytes]] = {}
        keys = SealingKeys(tx, self._cipher)
        positions = []
        for draft in drafts:
            assert isinstance(draft, Draft)
            event = msgspec.structs.replace(draft.event, at=at)
            positions.append(self._insert(tx, event, heads, keys))
        return positions

    def _insert(
        self, tx: Transaction, event: Event, heads: dict[UUID, tuple[int, bytes]], keys: SealingKeys
    ) -> int:
        stream_id, version = event.originator_id, event.originator_version
        name = str(stream_id)
        last, previous = heads.get(stream_id) or _head_of(tx, name)
        if version != last + 1:
            raise Conflict(f"stream {stream_id} stands at version {last}, not at {version - 1}")
        body = encode_event(event, keys)
        own = digest(previous, stream_id, version, event.TOPIC, body)
        row = tx.row(
            _INSERT,
            {
                "originator_id": name,
                "originator_version": version,
                "topic": event.TOPIC,
                "state": body,
                "previous": previous,
                "digest": own,
            },
        )
        assert row is not None
        heads[stream_id] = (version, own)
        self.position = row["position"]
        self.events.append(event)
        return self.position


def _head_of(tx: Transaction, stream_id: str) -> tuple[int, bytes]:
    row = tx.row(_LAST_OF_STREAM, {"originator_id": stream_id})
    return (row["originator_version"], row["digest"]) if row else (0, GENESIS)
