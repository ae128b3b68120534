"""Folded states are kept by a process, and never say anything that the log would not."""

from pathlib import Path
from threading import Thread
from uuid import UUID, uuid4

import pytest
from tests.support.drawers import DRAWER, Drawer, DrawerOpened, moved, opened
from tests.support.ledgers import ABOUT, altering, ledger_on

from muniment.domain.event import ERASED, About, Aggregate, Event
from muniment.secrets.personal import PROJECT_KEY
from muniment.store import reader as reader_module
from muniment.store.chain import BrokenChain
from muniment.store.ledger import Ledger
from muniment.store.mapper import KeysOf, decode_event
from muniment.store.sqlite import SQLiteRecorder, open_sqlite
from muniment.store.writes import DeleteKey


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The topics of all events that a reader decodes, in order."""
    topics: list[str] = []

    def decode(topic: str, body: bytes, keys: KeysOf) -> Event:
        topics.append(topic)
        return decode_event(topic, body, keys)

    monkeypatch.setattr(reader_module, "decode_event", decode)
    return topics


def _drawer(ledger: Ledger, events: int = 3) -> UUID:
    drawer = uuid4()
    ledger.save([opened(drawer), *(moved(drawer, version) for version in range(2, events + 1))], ABOUT)
    return drawer


def _shelf(state: Drawer | None) -> int | None:
    return None if state is None else state.shelf


def test_only_what_is_new_is_read_again(ledger: Ledger, read: list[str]) -> None:
    """The second load of a stream decodes nothing, one after a save what that save brought."""
    drawer = _drawer(ledger)
    first = ledger.load(DRAWER, drawer)
    assert len(read) == 3

    assert ledger.load(DRAWER, drawer) == first
    ledger.save([moved(drawer, 4, shelf=9)], ABOUT)
    assert _shelf(ledger.load(DRAWER, drawer)) == 9
    assert len(read) == 4


def test_what_another_ledger_saved_is_seen(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """Each goes on from what the other saved, in turns."""
    drawer, ledgers = _drawer(ledger), (ledger, ledger_on(recorder))

    for version in range(4, 12):
        ledgers[version % 2].save([moved(drawer, version, shelf=version)], ABOUT)
        assert [_shelf(one.load(DRAWER, drawer)) for one in ledgers] == [version, version]


def test_what_another_process_erased_is_not_shown(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """A name that was read before the key was deleted reads `erased` from then on."""
    drawer = uuid4()
    ledger.save([opened(drawer, label="canary")], ABOUT)
    before = ledger.load(DRAWER, drawer)
    ledger_on(recorder).save([], ABOUT, writes=[DeleteKey(PROJECT_KEY, ABOUT.project_id)])

    after = ledger.load(DRAWER, drawer)

    assert before is not None
    assert after is not None
    assert (before.label, after.label) == ("canary", ERASED)


def test_an_erasure_of_one_project_leaves_the_others(ledger: Ledger, read: list[str]) -> None:
    """States of other projects are kept."""
    mine, other = uuid4(), uuid4()
    ledger.save([opened(mine)], ABOUT)
    ledger.save([opened(other)], About(project_id="project-2", actor="user:keeper"))
    for drawer in (mine, other):
        ledger.load(DRAWER, drawer)
    ledger.save([], ABOUT, writes=[DeleteKey(PROJECT_KEY, "project-2")])
    read.clear()

    ledger.load(DRAWER, mine)
    assert read == []
    ledger.load(DRAWER, other)
    assert read == [DrawerOpened.TOPIC]


def test_a_name_given_after_an_erasure_is_shown(ledger: Ledger) -> None:
    """The project has a key again; what is sealed with the new one opens, what was erased does not."""
    old, new = uuid4(), uuid4()
    ledger.save([opened(old)], ABOUT)
    ledger.load(DRAWER, old)
    ledger.save([], ABOUT, writes=[DeleteKey(PROJECT_KEY, ABOUT.project_id)])
    ledger.save([opened(new, label="new")], ABOUT)

    labels = [state.label for drawer in (old, new) if (state := ledger.load(DRAWER, drawer)) is not None]

    assert labels == [ERASED, "new"]


def test_aggregates_over_one_stream_are_kept_apart(ledger: Ledger) -> None:
    """A state is of the aggregate that it was asked for."""
    moves = Aggregate("moves", lambda state, event: (state or 0) + 1)
    drawer = _drawer(ledger)

    assert (_shelf(ledger.load(DRAWER, drawer)), ledger.load(moves, drawer)) == (2, 3)
    ledger.save([moved(drawer, 4, shelf=5)], ABOUT)
    assert (_shelf(ledger.load(DRAWER, drawer)), ledger.load(moves, drawer)) == (5, 4)


@pytest.mark.parametrize(
    "alteration",
    [
        "UPDATE events SET state = CAST(replace(state, '\"shelf\":2', '\"shelf\":3') AS BLOB) WHERE originator_version = 3",
        "UPDATE events SET topic = 'tests.drawer.opened.1' WHERE originator_version = 3",
        "UPDATE events SET previous = zeroblob(32) WHERE originator_version = 4",
        "UPDATE events SET state = CAST(replace(state, '\"shelf\":2', '\"shelf\":3') AS BLOB) WHERE originator_version = 4",
        "UPDATE events SET originator_version = 9 WHERE originator_version = 4",
    ],
)
def test_what_is_altered_from_the_last_event_on_is_found(
    ledger: Ledger, recorder: SQLiteRecorder, alteration: str
) -> None:
    """The newest event that was folded is proven again, and everything behind it."""
    drawer = _drawer(ledger)
    ledger.load(DRAWER, drawer)
    ledger.save([moved(drawer, 4)], ABOUT)
    with altering(recorder) as cursor:
        cursor.execute(alteration)

    with pytest.raises(BrokenChain):
        ledger.load(DRAWER, drawer)


def test_what_is_altered_before_is_not_believed(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """The state stays what was proven; who has not folded it yet finds the break."""
    drawer = _drawer(ledger)
    before = ledger.load(DRAWER, drawer)
    with altering(recorder) as cursor:
        cursor.execute(
            "UPDATE events SET state = CAST(replace(state, '\"shelf\":1', '\"shelf\":7') AS BLOB) WHERE originator_version = 1"
        )

    assert ledger.load(DRAWER, drawer) == before
    with pytest.raises(BrokenChain):
        ledger_on(recorder).load(DRAWER, drawer)


def test_a_log_that_was_put_back_is_read_as_it_is(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """A restored database may lack the newest events, or the whole stream."""
    drawer = _drawer(ledger)
    ledger.load(DRAWER, drawer)
    with altering(recorder) as cursor:
        cursor.execute("DELETE FROM events WHERE originator_version = 3")
    cut = ledger.load(DRAWER, drawer)
    with altering(recorder) as cursor:
        cursor.execute("DELETE FROM events")
    gone = ledger.load(DRAWER, drawer)

    assert cut is not None
    assert (cut.version, gone) == (2, None)


def test_another_event_in_the_place_of_the_last_is_seen(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """After a restore somebody else may have saved another event of the same version."""
    drawer = _drawer(ledger)
    ledger.load(DRAWER, drawer)
    with altering(recorder) as cursor:
        cursor.execute("DELETE FROM events WHERE originator_version = 3")
    ledger_on(recorder).save([moved(drawer, 3, shelf=6)], ABOUT)

    assert _shelf(ledger.load(DRAWER, drawer)) == 6


def test_a_snapshot_is_not_told_what_came_later(tmp_path: Path) -> None:
    """Another thread folds further meanwhile; the reader's own moment is what counts for it."""
    ledger = ledger_on(open_sqlite(tmp_path / "ledger.db"))
    drawer = _drawer(ledger)

    def meanwhile() -> None:
        ledger.save([moved(drawer, 4, shelf=8)], ABOUT)
        assert _shelf(ledger.load(DRAWER, drawer)) == 8

    with ledger.reading() as reader:
        assert _shelf(reader.load(DRAWER, drawer)) == 2
        thread = Thread(target=meanwhile)
        thread.start()
        thread.join(timeout=20)
        assert _shelf(reader.load(DRAWER, drawer)) == 2
    assert _shelf(ledger.load(DRAWER, drawer)) == 8
