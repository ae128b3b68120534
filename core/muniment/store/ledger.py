"""The ledger: everything that happened and everything that is due, in one database and one transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import local
from typing import NamedTuple, TypeVar, cast
from uuid import UUID, uuid4

import msgspec

from muniment.clock import Clock, seconds
from muniment.domain.event import About, Aggregate, Event, stamp
from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment.secrets.personal import PersonalCipher, ProjectKeys
from muniment.store.append import Append
from muniment.store.application import LedgerApplication
from muniment.store.conflict import Conflict, NotSaved
from muniment.store.events import stream_rows
from muniment.store.log import Log
from muniment.store.mapper import Draft, EventMapper, decode_event
from muniment.store.personal_keys import StoredKeys
from muniment.store.reader import Reader
from muniment.store.recorder import Recorder
from muniment.store.states import States
from muniment.store.transaction import Transaction
from muniment.store.writes import Write

__all__ = ["Claim", "Decision", "Ledger", "Saved"]

S = TypeVar("S")

Decision = Sequence[Event] | tuple[Sequence[Event], Sequence[Write]]
"""What a decider wants: events, or events with writes."""

_CLAIM = """UPDATE queue SET claim_no = claim_no + 1, owner = :owner, lease_until_s = :lease_until_s
    WHERE operation_id = (
        SELECT operation_id FROM queue WHERE done_at_s IS NULL AND due_s <= :now_s AND lease_until_s <= :now_s
        ORDER BY due_s, operation_id LIMIT 1 /* SKIP LOCKED */)
    RETURNING operation_id, kind, claim_no, pokes, lease_until_s"""
_ANY_DUE = """SELECT operation_id FROM queue
    WHERE done_at_s IS NULL AND due_s <= :now_s AND lease_until_s <= :now_s LIMIT 1"""


class Saved(NamedTuple):
    """What a save did: the log's head after it, and the events as they were stored."""

    position: int
    events: tuple[Event, ...]


class Claim(msgspec.Struct, frozen=True):
    """The right to drive an operation until the lease ends; `claim_no` is the fence, so keep this one."""

    operation_id: UUID
    kind: str
    claim_no: int
    pokes: int
    lease_until_s: float


class Ledger:
    """Saves decisions and reads streams. Safe to share between threads; other processes may write the same database."""

    def __init__(
        self, recorder: Recorder, *, clock: Clock, cipher: PersonalCipher, new_id: Callable[[], UUID] = uuid4
    ) -> None:
        """Keep everything in `recorder`; `cipher` seals and opens personal fields."""
        self._recorder = recorder
        self._clock = clock
        self._cipher = cipher
        self._new_id = new_id
        self.application = LedgerApplication(recorder, EventMapper(self._keys_of))
        """The library's own view of the store, for its tools."""
        self._states = States()
        self._thread = local()
        self.log = Log(recorder, cipher)
        """The log of all events, for those who follow it."""

    @property
    def commits(self) -> int:
        """How many saves this process has committed: who waits for what one of them brings looks again when it changed."""
        return self._recorder.wakeup.commits

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One consistent read. Saving inside of it is a bug: what was read would not be what is saved upon."""
        assert not self._is_reading, "reads do not nest"
        with self._recorder.reading() as cursor:
            self._thread.is_reading = True
            try:
                yield Reader(Transaction(cursor, now_s=self._now_s), self._cipher, self._states)
            finally:
                self._thread.is_reading = False

    def load(self, aggregate: Aggregate[S], stream_id: UUID) -> S | None:
        """The present state of a stream, or None if there is no such stream.

        Raises:
            BrokenChain: the stream was altered.
        """
        with self.reading() as reader:
            return reader.load(aggregate, stream_id)

    def history(self, stream_id: UUID) -> list[Event]:
        """All events of a stream, oldest first."""
        with self.reading() as reader:
            return reader.history(stream_id)

    def save(
        self,
        events: Sequence[Event],
        about: About,
        *,
        writes: Sequence[Write] = (),
        batch: UUID | None = None,
    ) -> Saved:
        """Append events (of any streams) and change state tables, all or nothing.

        `batch` is the id of this save, kept over all its tries: if it is stored already, an earlier try succeeded and
        its acknowledgement was lost, and what it stored is returned.

        Raises:
            Conflict: a stream or guarded row moved; reload and decide again.
            ClaimLost: the claim named by a write is over; drop everything.
            Refused: a quota would be exceeded.
            Fault: the database failed; try again with the same `batch`.
        """
        assert not self._is_reading, "nothing is saved inside of a read"
        append = Append(batch or self._new_id(), writes, clock=self._clock, cipher=self._cipher)
        try:
            drafts = [Draft(event) for event in stamp(events, about, new_id=self._new_id)]
            # Not `Application.save`: it asks of each event at run time whether it is one, and makes notifications of all.
            self._recorder.insert_events(drafts, append=append)
        except (NotSaved, Refused):
            # A guard of a save that is stored already fails by what that save itself changed.
            if (saved := self._stored_before(batch, events)) is not None:
                return saved
            raise
        return Saved(append.position, tuple(append.events))

    def find(self, batch: UUID) -> Saved | None:
        """What the save with this id stored, or None if it did not happen."""
        with self.reading() as reader:
            row = reader.batch(batch)
        if row is None:
            return None
        logged = self.log.read(row.first_position - 1, row.last_position - row.first_position + 1)
        return Saved(row.last_position, tuple(entry.event for entry in logged))

    def command(
        self,
        aggregate: Aggregate[S],
        stream_id: UUID,
        decide: Callable[[S | None], Decision],
        about: About,
        tries: int = 5,
    ) -> tuple[S, Saved]:
        """Load, decide, save; when the stream moved in between, again, at most `tries` times.

        Returns the state after the decision and what was saved. Events of other streams may be among the decided.

        Raises:
            Conflict: every try met another writer.
            Refused: from the decider.
        """
        batch = self._new_id()
        for left in reversed(range(tries)):
            state = self.load(aggregate, stream_id)
            events, writes = _parts(decide(state))
            try:
                saved = self.save(events, about, writes=writes, batch=batch)
            except Conflict:
                if left == 0:
                    raise
                continue
            except Fault as fault:
                # The commit may have happened. Deciding again upon one's own events would refuse what succeeded.
                found = self.find(batch) if fault.retryable else None
                if found is None:
                    raise
                saved = found
            after = aggregate.fold(
                state, [event for event in saved.events if event.originator_id == stream_id]
            )
            assert after is not None, (
                f"{aggregate.name} {stream_id}: nothing was decided for a stream that is not there"
            )
            return after, saved
        raise AssertionError("at least one try")

    def claim(self, owner: str, *, lease_s: float) -> Claim | None:
        """Take the operation that has been due longest and is nobody's, or None if there is none."""
        now_s = self._now_s
        values = {"owner": owner, "now_s": now_s, "lease_until_s": now_s + lease_s}
        # Looking is cheap and writing is not: an idle taskmanager must not keep the one writer's place busy.
        with self._recorder.reading() as cursor:
            if Transaction(cursor, now_s=now_s).row(_ANY_DUE, {"now_s": now_s}) is None:
                return None
        with self._recorder.writing() as cursor:
            return Transaction(cursor, now_s=now_s).struct(Claim, _CLAIM, values)

    def close(self) -> None:
        """Give the database back."""
        self._recorder.close()

    @property
    def _now_s(self) -> float:
        return seconds(self._clock.now())

    @property
    def _is_reading(self) -> bool:
        return getattr(self._thread, "is_reading", False)

    def _stored_before(self, batch: UUID | None, events: Sequence[Event]) -> Saved | None:
        """What is stored of this save, known by its batch id, or by the ids that its events came with."""
        if batch is not None and (saved := self.find(batch)) is not None:
            return saved
        if not events or any(event.event_id is None for event in events):
            return None
        found = []
        with self._recorder.reading() as cursor:
            tx = Transaction(cursor, now_s=self._now_s)
            keys = StoredKeys(tx, self._cipher)
            for event in events:
                version = event.originator_version
                for row in stream_rows(tx, event.originator_id, gt=version - 1, lte=version):
                    found.append((row.position, decode_event(row.topic, row.body, keys)))
        if [stored.event_id for _, stored in found] != [event.event_id for event in events]:
            return None
        return Saved(found[-1][0], tuple(stored for _, stored in found))

    def _keys_of(self, project_id: str) -> ProjectKeys:
        with self._recorder.reading() as cursor:
            return StoredKeys(Transaction(cursor, now_s=0), self._cipher)(project_id)


def _parts(decision: Decision) -> tuple[Sequence[Event], Sequence[Write]]:
    match decision:
        case (list() | tuple() as events, list() | tuple() as writes):
            return events, writes
    return cast(Sequence[Event], decision), ()
