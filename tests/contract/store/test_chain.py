"""What was altered behind the store's back is found, before anything altered is decoded."""

from uuid import UUID, uuid4

import pytest
from tests.support.drawers import DRAWER, moved, opened
from tests.support.ledgers import ABOUT, altering

from muniment.store.chain import GENESIS, BrokenChain, digest
from muniment.store.ledger import Ledger
from muniment.store.sqlite import SQLiteRecorder
from muniment.store.verify import verify_log

DRAWER_ID = UUID(int=1)
OTHER_ID = UUID(int=2)


@pytest.fixture
def _history(ledger: Ledger) -> None:
    """Positions 1 to 6: drawer 1, other 1, drawer 2, drawer 3, other 2, drawer 4."""
    ledger.save([opened(DRAWER_ID), opened(OTHER_ID)], ABOUT)
    ledger.save([moved(DRAWER_ID, 2), moved(DRAWER_ID, 3), moved(OTHER_ID, 2), moved(DRAWER_ID, 4)], ABOUT)


ALTERATIONS = {
    "an edit": (
        "UPDATE events SET state = CAST(replace(state, '\"shelf\":2', '\"shelf\":3') AS BLOB) WHERE position = 3",
        3,
    ),
    "an edit that leaves text": (
        "UPDATE events SET state = replace(state, '\"shelf\":2', '\"shelf\":3') WHERE position = 3",
        3,
    ),
    "an edit of the log time": (
        "UPDATE events SET state = CAST(replace(state, '2026-', '2025-') AS BLOB) WHERE position = 4",
        4,
    ),
    "another topic": ("UPDATE events SET topic = 'tests.drawer.opened.1' WHERE position = 3", 3),
    "an edited digest": ("UPDATE events SET digest = zeroblob(32) WHERE position = 3", 3),
    "an edited link": ("UPDATE events SET previous = zeroblob(32) WHERE position = 3", 3),
    "a removal": ("DELETE FROM events WHERE position = 3", 4),
    "a removed beginning": ("DELETE FROM events WHERE position = 1", 3),
    "a move to a later version": ("UPDATE events SET originator_version = 9 WHERE position = 4", 4),
    "a move to another stream": (
        "UPDATE events SET originator_id = '00000000-0000-0000-0000-000000000009' WHERE position = 6",
        6,
    ),
    "a stream id that is none": ("UPDATE events SET originator_id = 'x' WHERE position = 4", 4),
    "a version that is none": ("UPDATE events SET originator_version = 'x' WHERE position = 4", 4),
    "a later place in the log": ("UPDATE events SET position = 60 WHERE position = 4", 6),
}


@pytest.mark.usefixtures("_history")
def test_an_untouched_log_holds(recorder: SQLiteRecorder) -> None:
    """Every event of a log that nobody touched is proven, up to its head."""
    assert verify_log(recorder) == (6, 6, None)


@pytest.mark.usefixtures("_history")
@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_found_at_its_position(recorder: SQLiteRecorder, name: str) -> None:
    """Edits, removals and moves are found, and the first bad position is named."""
    statement, position = ALTERATIONS[name]
    with altering(recorder) as cursor:
        cursor.execute(statement)
    broken = verify_log(recorder).broken
    assert broken is not None
    assert broken.position == position
    assert f"position {position}" in str(broken)


@pytest.mark.usefixtures("_history")
def test_swapped_events_of_a_stream_are_found(recorder: SQLiteRecorder) -> None:
    """Two events of one stream that changed places are found at the first of them."""
    with altering(recorder) as cursor:
        for before, after in ((2, 99), (3, 2), (99, 3)):
            cursor.execute(
                "UPDATE events SET originator_version = ? WHERE originator_version = ? AND originator_id = ?",
                (after, before, str(DRAWER_ID)),
            )
    broken = verify_log(recorder).broken
    assert broken is not None
    assert broken.position == 3


@pytest.mark.usefixtures("_history")
def test_an_edit_with_a_digest_made_anew_is_found_at_the_successor(recorder: SQLiteRecorder) -> None:
    """Who also makes the digest anew is betrayed by the event that follows."""
    with altering(recorder) as cursor:
        cursor.execute("SELECT state, previous FROM events WHERE position = 3")
        row = cursor.fetchone()
        body = row["state"].replace(b'"shelf":2', b'"shelf":3')
        made = digest(row["previous"], DRAWER_ID, 2, "tests.drawer.moved.1", body)
        cursor.execute("UPDATE events SET state = ?, digest = ? WHERE position = 3", (body, made))
    broken = verify_log(recorder).broken
    assert broken is not None
    assert (broken.stream_id, broken.version, broken.position) == (DRAWER_ID, 3, 4)


@pytest.mark.usefixtures("_history")
@pytest.mark.parametrize(
    "statement", [statement for statement, position in ALTERATIONS.values() if position in (3, 4)]
)
def test_an_altered_stream_does_not_load(ledger: Ledger, recorder: SQLiteRecorder, statement: str) -> None:
    """No state is ever folded from an altered stream, and the other streams go on."""
    with altering(recorder) as cursor:
        cursor.execute(statement)
    if "'x'" in statement and "originator_id" in statement:
        statement = "the event left the stream, so its successor is the one that does not fit"
    with pytest.raises(BrokenChain, match=str(DRAWER_ID)):
        ledger.load(DRAWER, DRAWER_ID)
    assert ledger.load(DRAWER, OTHER_ID) is not None


@pytest.mark.usefixtures("_history")
def test_an_altered_event_is_not_read_from_the_log(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """Those who follow the log stop at what was altered, before it is decoded."""
    with altering(recorder) as cursor:
        cursor.execute("UPDATE events SET state = x'00' WHERE position = 3")
    assert [entry.position for entry in ledger.log.read(0, 2)] == [1, 2]
    with pytest.raises(BrokenChain):
        ledger.log.read(2, 1)


@pytest.mark.usefixtures("_history")
def test_a_cut_tail_is_not_seen(recorder: SQLiteRecorder) -> None:
    """What the chain cannot prove, said as a test: the last event of a stream may be missing."""
    with altering(recorder) as cursor:
        cursor.execute("DELETE FROM events WHERE position = 6")
    assert verify_log(recorder) == (5, 5, None)


def test_the_digest_covers_every_part() -> None:
    """Another predecessor, stream, version, topic, body or split of topic and body is another digest."""
    stream = uuid4()
    digests = {
        digest(GENESIS, stream, 1, "a.1", b"body"),
        digest(bytes(31) + b"\1", stream, 1, "a.1", b"body"),
        digest(GENESIS, uuid4(), 1, "a.1", b"body"),
        digest(GENESIS, stream, 2, "a.1", b"body"),
        digest(GENESIS, stream, 1, "a.2", b"body"),
        digest(GENESIS, stream, 1, "a.1", b"bodY"),
        digest(GENESIS, stream, 1, "a.1b", b"ody"),
    }
    assert len(digests) == 7


def test_progress_is_told(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """A long proof says how far it is."""
    drawer = uuid4()
    ledger.save([opened(drawer), *(moved(drawer, version) for version in range(2, 1202))], ABOUT)
    told: list[tuple[int, int]] = []
    assert verify_log(recorder, progress=lambda position, head: told.append((position, head))).broken is None
    assert told == [(1000, 1201)]
