"""The log is one order, and who follows it misses nothing."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from tests.support.drawers import DrawerMoved, DrawerOpened, DrawerOpenedV1, moved, opened
from tests.support.ledgers import ABOUT, VAULT, altering

from muniment.fault import Fault
from muniment.secrets.personal import PersonalCipher
from muniment.store.chain import GENESIS, digest
from muniment.store.ledger import Ledger
from muniment.store.log import Log
from muniment.store.sqlite import SQLiteRecorder


def test_an_empty_log_has_head_zero(ledger: Ledger) -> None:
    """Before the first event there is nothing to read."""
    assert ledger.log.head() == 0
    assert ledger.log.read(0, 10) == []


def test_the_log_is_read_in_pages(ledger: Ledger) -> None:
    """Reading goes on behind the position one has come to."""
    drawer = uuid4()
    ledger.save([opened(drawer), *(moved(drawer, version) for version in range(2, 6))], ABOUT)
    first, second = ledger.log.read(0, 3), ledger.log.read(3, 3)
    assert [entry.position for entry in first] == [1, 2, 3]
    assert [entry.position for entry in second] == [4, 5]


def test_old_versions_are_read_as_the_newest(ledger: Ledger) -> None:
    """An event of an old version comes lifted from the log and from its stream."""
    drawer = uuid4()
    ledger.save([DrawerOpenedV1(originator_id=drawer, originator_version=1, label="deeds", row=4)], ABOUT)
    (entry,) = ledger.log.read(0, 1)
    assert isinstance(entry.event, DrawerOpened)
    assert (entry.event.label, entry.event.shelf) == ("deeds", 40)
    assert ledger.history(drawer) == [entry.event]


def test_an_unknown_topic_is_one_clear_fault(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """Events of a release that knows more are named, not skipped and not a traceback."""
    drawer = uuid4()
    ledger.save([opened(drawer)], ABOUT)
    with altering(recorder) as cursor:
        body = cursor.execute("SELECT state FROM events").fetchone()["state"]
        theirs = digest(GENESIS, drawer, 1, "tests.drawer.burnt.1", body)
        cursor.execute("UPDATE events SET topic = 'tests.drawer.burnt.1', digest = ?", (theirs,))
    with pytest.raises(Fault, match=r"tests\.drawer\.burnt\.1"):
        ledger.log.read(0, 1)


def test_wait_is_over_at_once_when_events_are_there(ledger: Ledger) -> None:
    """Who is behind need not wait."""
    ledger.save([opened(uuid4())], ABOUT)
    assert ledger.log.wait(0, timeout_s=0.0)


def test_wait_ends_without_events_after_its_time(ledger: Ledger) -> None:
    """Who is not behind waits its time and is told so."""
    assert not ledger.log.wait(0, timeout_s=0.01)


def test_a_save_wakes_a_waiting_reader(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """A save of this process wakes its readers: this one would not have looked again by itself for a minute."""
    log = Log(recorder, PersonalCipher(VAULT), poll_s=60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(log.wait, 0, 120.0)
        ledger.save([opened(uuid4())], ABOUT)
        assert waiting.result(timeout=30)


def test_a_reader_that_follows_many_writers_misses_nothing(ledger: Ledger) -> None:
    """Eight writers at once, one reader behind them: every event is seen, once, in the order of positions."""
    writers, each = 8, 25

    def write(drawer: UUID) -> None:
        ledger.save([opened(drawer)], ABOUT)
        for version in range(2, each + 1):
            ledger.save([moved(drawer, version)], ABOUT)

    def follow() -> list[int]:
        seen: list[int] = []
        while len(seen) < writers * each and ledger.log.wait(seen[-1] if seen else 0, timeout_s=10):
            seen += [entry.position for entry in ledger.log.read(seen[-1] if seen else 0, 7)]
        return seen

    with ThreadPoolExecutor(writers + 1) as pool:
        following = pool.submit(follow)
        for done in [pool.submit(write, uuid4()) for _ in range(writers)]:
            done.result(timeout=60)
        assert following.result(timeout=60) == list(range(1, writers * each + 1))
    times = [entry.event.at for entry in ledger.log.read(0, 1000) if entry.event.at]
    assert times == sorted(times)


def test_the_librarys_own_ways_to_read_agree(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """The hooks that a new release of the library may move: its store and notification log read what ours does."""
    drawer = uuid4()
    saved = ledger.save([opened(drawer), moved(drawer, 2)], ABOUT)
    application = ledger.application
    assert list(application.events.get(drawer)) == list(saved.events)
    assert list(application.events.get(drawer, gt=1, desc=True, limit=1)) == [saved.events[1]]
    assert [n.id for n in application.notification_log.select(start=1, limit=10)] == [1, 2]
    assert recorder.max_notification_id() == 2
    assert isinstance(saved.events[1], DrawerMoved)
