"""Laws of the store: what is read is what was saved, no alteration is unseen, no limit is ever passed."""

from collections import Counter
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.drawers import DRAWER, DrawerOpened, Slip, moved, opened
from tests.support.ledgers import ABOUT, altering, ledger_on

from muniment.domain.event import Event
from muniment.domain.refused import Refused
from muniment.secrets.personal import PROJECT_KEY
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment.store.sqlite import SQLiteRecorder
from muniment.store.verify import verify_log
from muniment.store.writes import (
    CommitReservation,
    DeleteKey,
    ReleaseReservation,
    ReleaseSubject,
    Reserve,
    Write,
)

DRAWERS = [UUID(int=number) for number in range(1, 4)]

LAW = settings(deadline=None, max_examples=60)
"""No time limit for an example: the machine may be busy."""

Step = tuple[str, int, int, int]
"""(reserve | commit | release | delete, operation, subject, delta)"""

steps = st.tuples(
    st.sampled_from(["reserve", "commit", "release", "delete"]),
    st.integers(0, 5),
    st.integers(0, 2),
    st.integers(0, 4),
)

histories = st.lists(st.lists(st.sampled_from(DRAWERS), min_size=1, max_size=4), min_size=1, max_size=8)
"""Saves, each naming the drawers that get an event."""


def _recorded(history: list[list[UUID]]) -> tuple[SQLiteRecorder, list[Event]]:
    recorder, versions, events = open_memory(), Counter[UUID](), list[Event]()
    ledger = ledger_on(recorder)
    for save in history:
        decided: list[Event] = []
        for drawer in save:
            versions[drawer] += 1
            version = versions[drawer]
            decided.append(opened(drawer) if version == 1 else moved(drawer, version, shelf=version))
        events += ledger.save(decided, ABOUT).events
    return recorder, events


@given(histories)
@LAW
def test_streams_and_log_hold_what_was_saved(history: list[list[UUID]]) -> None:
    """The log is the saves one after the other, each stream its part of it, and the proof holds."""
    recorder, events = _recorded(history)
    ledger = ledger_on(recorder)
    assert [entry.event for entry in ledger.log.read(0, 100)] == events
    for drawer in DRAWERS:
        own = [event for event in events if event.originator_id == drawer]
        assert ledger.history(drawer) == own
        assert ledger.load(DRAWER, drawer) == DRAWER.fold(None, own)
    assert verify_log(recorder) == (len(events), len(events), None)


@given(histories, st.data())
@LAW
def test_any_altered_byte_is_found(history: list[list[UUID]], data: st.DataObject) -> None:
    """One byte of any column of any event, whatever it becomes, is found at that event's position."""
    recorder, events = _recorded(history)
    position = data.draw(st.integers(1, len(events)))
    column = data.draw(st.sampled_from(["state", "digest", "previous", "topic"]))
    with altering(recorder) as cursor:
        before = cursor.execute(
            f"SELECT CAST({column} AS BLOB) FROM events WHERE position = ?", (position,)
        ).fetchone()[0]
        place = data.draw(st.integers(0, len(before) - 1))
        value = data.draw(
            st.integers(1, 127 if column == "topic" else 255).filter(lambda byte: byte != before[place])
        )
        after = before[:place] + bytes([value]) + before[place + 1 :]
        stored = after.decode() if column == "topic" else after
        cursor.execute(f"UPDATE events SET {column} = ? WHERE position = ?", (stored, position))
    broken = verify_log(recorder).broken
    assert broken is not None
    assert broken.position == position


@given(histories, st.data())
@LAW
def test_any_removal_inside_a_stream_is_found(history: list[list[UUID]], data: st.DataObject) -> None:
    """A removed event is missed by its successor; only the last of a stream can go unseen."""
    recorder, events = _recorded(history)
    removed = data.draw(st.integers(1, len(events)))
    with altering(recorder) as cursor:
        cursor.execute("DELETE FROM events WHERE position = ?", (removed,))
    stream = events[removed - 1].originator_id
    later = [
        place for place, event in enumerate(events, 1) if event.originator_id == stream and place > removed
    ]
    broken = verify_log(recorder).broken
    assert (broken.position if broken else None) == (later[0] if later else None)


@given(histories, st.data())
@LAW
def test_two_events_that_changed_places_are_found(history: list[list[UUID]], data: st.DataObject) -> None:
    """Whichever two bodies are swapped, in one stream or across, the first of them is found."""
    recorder, events = _recorded([*history, [DRAWERS[0]], [DRAWERS[1]]])
    places = st.integers(1, len(events))
    one, other = data.draw(st.tuples(places, places).filter(lambda pair: pair[0] < pair[1]))
    columns = "topic, state, previous, digest"
    with altering(recorder) as cursor:
        rows = [
            cursor.execute(f"SELECT {columns} FROM events WHERE position = ?", (n,)).fetchone()
            for n in (one, other)
        ]
        for row, position in ((rows[1], one), (rows[0], other)):
            statement = "UPDATE events SET topic = ?, state = ?, previous = ?, digest = ? WHERE position = ?"
            cursor.execute(statement, (*row, position))
    broken = verify_log(recorder).broken
    assert broken is not None
    assert broken.position == one


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([*DRAWERS, None])), max_size=24))
@LAW
def test_a_kept_state_is_what_the_log_says(history: list[tuple[int, UUID | None]]) -> None:
    """Two processes save, load and erase in any order; each reads what a third does that has read nothing before."""
    recorder, versions = open_memory(), Counter[UUID]()
    ledgers = [ledger_on(recorder), ledger_on(recorder)]
    for who, drawer in history:
        if drawer is None:
            ledgers[who].save([], ABOUT, writes=[DeleteKey(PROJECT_KEY, ABOUT.project_id)])
        else:
            versions[drawer] += 1
            version = versions[drawer]
            event = opened(drawer) if version % 3 == 1 else moved(drawer, version, shelf=version)
            ledgers[who].save([msgspec.structs.replace(event, originator_version=version)], ABOUT)
        loaded = [[ledger.load(DRAWER, one) for one in DRAWERS] for ledger in (*ledgers, ledger_on(recorder))]
        assert loaded[0] == loaded[1] == loaded[2]


@given(
    st.text(),
    st.text(),
    st.text() | st.none(),
    st.lists(st.text(), max_size=3),
    st.dictionaries(st.text(), st.text()),
)
@LAW
def test_any_personal_text_comes_back(
    project: str, label: str, remark: str | None, titles: list[str], keepers: dict[str, str]
) -> None:
    """Whatever people write, in whatever project, is read as they wrote it."""
    event = DrawerOpened(
        originator_id=DRAWERS[0],
        originator_version=1,
        project_id=project,
        label=label,
        shelf=1,
        remark=remark,
        slips=[Slip(title=title, pages=1) for title in titles],
        keepers=keepers,
    )
    ledger = ledger_on(open_memory())
    (stored,) = ledger.save([event], ABOUT).events
    assert ledger.history(DRAWERS[0]) == [stored]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), max_size=30))
@LAW
def test_repeats_and_late_saves_change_nothing(tries: list[tuple[int, int]]) -> None:
    """Saves that arrive in any order and number, with their batch ids, are stored at most once each, versions in order."""
    ledger, drawer, stored = ledger_on(open_memory()), DRAWERS[0], set[int]()
    for batch, version in tries:
        event = opened(drawer) if version == 1 else moved(drawer, version)
        try:
            ledger.save([event], ABOUT, batch=UUID(int=batch + 1))
            stored.add(batch)
        except Conflict:
            assert version != ledger.log.head() + 1
    assert len(ledger.history(drawer)) == ledger.log.head() == len(stored) <= 3


class _Project:
    """What a project should have, by the rules said in words."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rows: dict[int, tuple[int, int, str]] = {}

    @property
    def counted(self) -> int:
        return sum(delta for _, delta, state in self.rows.values() if state != "released")

    def live(self, step: Step) -> type[Exception] | None:
        """One step more; the exception that it should meet."""
        kind, operation, subject, delta = step
        if kind == "reserve":
            return self._reserve(operation, subject, delta)
        for row, (of_subject, size, state) in self.rows.items():
            if kind == "delete" and of_subject == subject:
                self.rows[row] = (of_subject, size, "released")
            elif kind != "delete" and row == operation and state == "reserved":
                self.rows[row] = (of_subject, size, "committed" if kind == "commit" else "released")
        return None

    def _reserve(self, operation: int, subject: int, delta: int) -> type[Exception] | None:
        if delta > 0 and 0 <= self.limit < self.counted + delta:
            return Refused
        if operation in self.rows:
            return Conflict
        self.rows[operation] = (subject, delta, "reserved")
        return None


def _write(step: Step, limit: int) -> Write:
    kind, operation, subject, delta = step
    return {
        "reserve": Reserve(
            UUID(int=operation), UUID(int=subject), "p", {"volumes": delta}, {"volumes": limit}
        ),
        "commit": CommitReservation(UUID(int=operation)),
        "release": ReleaseReservation(UUID(int=operation)),
        "delete": ReleaseSubject(UUID(int=subject)),
    }[kind]


def _met(ledger: Ledger, write: Write) -> type[Exception] | None:
    try:
        ledger.save([], ABOUT, writes=[write])
    except (Refused, Conflict) as error:
        return type(error)
    return None


@given(st.lists(steps, max_size=40), st.integers(-1, 8))
@LAW
def test_quota_is_never_exceeded_and_nothing_released_twice(lived: list[Step], limit: int) -> None:
    """Any life of reservations: the sum is what the rules say, and never above the limit."""
    ledger, project = ledger_on(open_memory()), _Project(limit)
    for step in lived:
        assert _met(ledger, _write(step, limit)) is project.live(step)
        with ledger.reading() as reader:
            counted = reader.counted("p").get("volumes", {"in_use": 0, "reserved": 0})
        assert sum(counted.values()) == project.counted
        assert limit < 0 or project.counted <= limit
