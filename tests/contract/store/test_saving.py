"""Saves are whole or nothing, in order, recognised when repeated."""

from typing import cast
from uuid import uuid4

import msgspec
import pytest
from tests.support.drawers import DRAWER, Drawer, moved, opened
from tests.support.ledgers import ABOUT, LosingRecorder, ledger_on

from muniment.clock import ManualClock, moment, seconds
from muniment.domain.event import About, Event
from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger
from muniment.store.sqlite import SQLiteRecorder
from muniment.store.writes import AddInbox, EndOperation, Enqueue, Reserve


def test_a_saved_stream_is_loaded_as_it_was_decided(ledger: Ledger) -> None:
    """What was saved is read back: the state folded from it, and the events with who, when and why."""
    drawer = uuid4()
    ledger.save([opened(drawer), moved(drawer, 2, shelf=7)], ABOUT)
    assert ledger.load(DRAWER, drawer) == Drawer(id=drawer, version=2, label="deeds", shelf=7)
    first, second = ledger.history(drawer)
    assert (first.actor, first.project_id, first.request_id) == ("user:keeper", "project-1", "req-1")
    assert first.event_id != second.event_id


def test_a_stream_that_is_not_there_is_none(ledger: Ledger) -> None:
    """An unknown stream has no state and no history."""
    assert ledger.load(DRAWER, uuid4()) is None
    assert ledger.history(uuid4()) == []


def test_saved_tells_the_events_as_stored_and_the_position(ledger: Ledger) -> None:
    """A save returns the head of the log and the very events that a reader will see."""
    drawer = uuid4()
    saved = ledger.save([opened(drawer), moved(drawer, 2)], ABOUT)
    assert saved.position == ledger.log.head() == 2
    assert list(saved.events) == ledger.history(drawer)


def test_a_save_without_events_tells_the_head(ledger: Ledger) -> None:
    """Writes alone leave the log where it is."""
    ledger.save([opened(uuid4())], ABOUT)
    saved = ledger.save([], ABOUT, writes=[Enqueue(uuid4(), "file.1", 0.0)])
    assert (saved.position, saved.events) == (1, ())


def test_log_time_is_the_clock_and_never_goes_back(recorder: SQLiteRecorder) -> None:
    """An event is stamped with the moment of its append; a clock that went backwards is not believed."""
    ahead, behind = ManualClock(moment(2000.0)), ManualClock(moment(1000.0))
    drawer = uuid4()
    ledger_on(recorder, ahead).save([opened(drawer)], ABOUT)
    late = ledger_on(recorder, behind).save([moved(drawer, 2)], ABOUT)
    assert [seconds(event.at) for event in late.events if event.at] == [2000.0]


def test_a_stale_version_is_a_conflict(ledger: Ledger) -> None:
    """Who decided upon an older version than the stream has saves nothing."""
    drawer = uuid4()
    ledger.save([opened(drawer), moved(drawer, 2)], ABOUT)
    with pytest.raises(Conflict):
        ledger.save([moved(drawer, 2)], ABOUT)
    assert ledger.log.head() == 2


def test_a_version_that_leaves_a_gap_is_a_conflict(ledger: Ledger) -> None:
    """A stream has no holes: version 3 cannot follow version 1."""
    drawer = uuid4()
    ledger.save([opened(drawer)], ABOUT)
    with pytest.raises(Conflict):
        ledger.save([moved(drawer, 3)], ABOUT)


def test_events_of_several_streams_are_one_save(ledger: Ledger) -> None:
    """When one stream of a save moved, the others of it keep their state too."""
    one, other = uuid4(), uuid4()
    ledger.save([opened(one), opened(other)], ABOUT)
    with pytest.raises(Conflict):
        ledger.save([moved(one, 2), moved(other, 1)], ABOUT)
    assert [len(ledger.history(stream)) for stream in (one, other)] == [1, 1]


def test_a_conflict_takes_the_writes_back(ledger: Ledger) -> None:
    """State rows of a save that met another writer are not there."""
    drawer, operation = uuid4(), uuid4()
    ledger.save([opened(drawer)], ABOUT)
    with pytest.raises(Conflict):
        ledger.save([opened(drawer)], ABOUT, writes=[Enqueue(operation, "file.1", 0.0)])
    with ledger.reading() as reader:
        assert reader.queue_row(operation) is None


def test_a_refused_write_takes_the_events_back(ledger: Ledger) -> None:
    """A quota that is exceeded leaves no event, no queue row and no personal key of the project."""
    drawer, operation = uuid4(), uuid4()
    writes = [
        Enqueue(operation, "file.1", 0.0),
        Reserve(operation, drawer, "project-1", {"drawers": 1}, {"drawers": 0}),
    ]
    with pytest.raises(Refused):
        ledger.save([opened(drawer)], ABOUT, writes=writes)
    with ledger.reading() as reader:
        assert (reader.head(), reader.queue(), reader.keys("project-dek", "project-1")) == (0, [], [])


def test_an_exception_after_the_insert_rolls_back(recorder: SQLiteRecorder) -> None:
    """Whatever is raised inside of the transaction, also after the events went in, nothing stays (a trap of 9.5.6)."""
    ledger = ledger_on(recorder)
    ledger.save([opened(uuid4())], ABOUT)

    def leave_after_insert() -> None:
        with recorder.writing() as cursor:
            cursor.execute("INSERT INTO outbox_sequences (instance_id, last) VALUES ('x', 1)", {})
            raise ValueError("too late")

    with pytest.raises(ValueError, match="too late"):
        leave_after_insert()
    with recorder.reading() as cursor:
        cursor.execute("SELECT * FROM outbox_sequences", {})
        assert cursor.fetchall() == []


def test_the_second_of_two_events_that_cannot_be_written_takes_the_first_back(ledger: Ledger) -> None:
    """A fault between two inserts of one save leaves neither."""
    drawer = uuid4()
    unwritable = moved(drawer, 2, shelf=cast(int, object()))
    with pytest.raises(TypeError):
        ledger.save([opened(drawer), unwritable], ABOUT)
    assert ledger.log.head() == 0


def test_a_repeated_batch_is_recognised(ledger: Ledger) -> None:
    """The same save again, with its batch id, changes nothing and tells what was stored."""
    drawer, batch = uuid4(), uuid4()
    first = ledger.save([opened(drawer)], ABOUT, batch=batch)
    again = ledger.save([opened(drawer)], ABOUT, batch=batch, writes=[Enqueue(uuid4(), "file.1", 0.0)])
    assert again == first
    assert ledger.log.head() == 1
    assert ledger.find(batch) == first


def test_a_repeated_batch_without_events_is_recognised(ledger: Ledger) -> None:
    """Saves of rows alone are recognised by their batch id as well."""
    batch, operation = uuid4(), uuid4()
    for _ in range(2):
        ledger.save([], ABOUT, writes=[Enqueue(operation, "file.1", 0.0)], batch=batch)
    found = ledger.find(batch)
    assert found is not None
    assert found.events == ()


def test_a_repeat_is_recognised_although_its_guards_fail_now(ledger: Ledger) -> None:
    """What the first try changed (quota used up, claim over) is no reason to refuse the second try of the same save."""
    drawer, operation, reserving, ending = uuid4(), uuid4(), uuid4(), uuid4()
    reserve = Reserve(operation, drawer, "project-1", {"drawers": 1}, {"drawers": 1})
    for _ in range(2):
        saved = ledger.save(
            [opened(drawer)], ABOUT, writes=[reserve, Enqueue(operation, "file.1", 0.0)], batch=reserving
        )
        assert saved.position == 1
    claim = ledger.claim("taskmanager-1", lease_s=60)
    assert claim is not None
    for _ in range(2):
        saved = ledger.save(
            [moved(drawer, 2)], ABOUT, writes=[EndOperation(operation, claim.claim_no)], batch=ending
        )
        assert saved.position == 2


def test_a_repeat_that_no_guard_would_stop_changes_nothing(ledger: Ledger) -> None:
    """A repeated save whose writes would all succeed again, and whose events were decided anew, is still done once."""
    drawer, batch = uuid4(), uuid4()
    poke = AddInbox(drawer, "envelope", b"bytes", 1.0)
    first = ledger.save([opened(drawer)], ABOUT, writes=[poke], batch=batch)
    assert ledger.save([moved(drawer, 2)], ABOUT, writes=[poke], batch=batch) == first
    with ledger.reading() as reader:
        assert (reader.head(), len(reader.inbox(10))) == (1, 1)


def test_events_with_the_same_ids_are_recognised(ledger: Ledger) -> None:
    """Stamped events that are in the log already are a lost acknowledgement, not a conflict."""
    drawer = uuid4()
    saved = ledger.save([opened(drawer), moved(drawer, 2)], ABOUT)
    assert ledger.save(saved.events, ABOUT) == saved
    assert ledger.log.head() == 2


def test_a_foreign_event_at_the_same_version_is_a_conflict(ledger: Ledger) -> None:
    """Events with ids of their own are not taken for those that stand at their versions."""
    drawer = uuid4()
    ledger.save([opened(drawer)], ABOUT)
    (stored,) = ledger.save([opened(uuid4())], ABOUT).events
    foreign = opened(drawer)
    with pytest.raises(Conflict):
        ledger.save([msgspec.structs.replace(foreign, event_id=stored.event_id)], ABOUT)


def test_a_save_whose_acknowledgement_was_lost_can_be_tried_again(recorder: SQLiteRecorder) -> None:
    """The commit happened, the answer did not arrive: the next try with the batch finds it done."""
    losing = LosingRecorder(recorder.datastore)
    ledger, drawer, batch = ledger_on(losing), uuid4(), uuid4()
    losing.lose = "acknowledgement"
    with pytest.raises(Fault):
        ledger.save([opened(drawer)], ABOUT, batch=batch)
    assert ledger.save([opened(drawer)], ABOUT, batch=batch).position == 1
    assert len(ledger.history(drawer)) == 1


@pytest.mark.parametrize("lost", ["acknowledgement", "save"])
def test_command_tells_a_lost_acknowledgement_from_a_lost_save(recorder: SQLiteRecorder, lost: str) -> None:
    """A command whose answer was lost succeeds if it was stored, and fails as a fault of the store if it was not."""
    losing = LosingRecorder(recorder.datastore)
    ledger, drawer = ledger_on(losing), uuid4()
    losing.lose = lost
    if lost == "save":
        with pytest.raises(Fault):
            ledger.command(DRAWER, drawer, lambda _: [opened(drawer)], ABOUT)
    else:
        state, saved = ledger.command(DRAWER, drawer, lambda _: [opened(drawer)], ABOUT)
        assert (state.version, saved.position) == (1, 1)
    assert ledger.log.head() == (1 if lost == "acknowledgement" else 0)


def test_command_decides_again_when_the_stream_moved(ledger: Ledger) -> None:
    """A decision that met another writer is made again upon the new state."""
    drawer = uuid4()
    ledger.save([opened(drawer)], ABOUT)
    seen: list[int] = []

    def decide(state: Drawer | None) -> list[Event]:
        assert state is not None
        if not seen:
            ledger.save([moved(drawer, 2)], ABOUT)
        seen.append(state.version)
        return [moved(drawer, state.version + 1, shelf=9)]

    state, _ = ledger.command(DRAWER, drawer, decide, ABOUT)
    assert seen == [1, 2]
    assert (state.version, state.shelf) == (3, 9)


def test_command_gives_up_after_its_tries(ledger: Ledger) -> None:
    """A stream that moves before every save is a conflict in the end."""
    drawer = uuid4()
    ledger.save([opened(drawer)], ABOUT)
    with pytest.raises(Conflict):
        ledger.command(DRAWER, drawer, lambda _: [moved(drawer, 9)], ABOUT, tries=2)


def test_command_takes_events_with_writes(ledger: Ledger) -> None:
    """A decider may want rows beside its events; they are one save."""
    drawer, operation = uuid4(), uuid4()
    ledger.command(DRAWER, drawer, lambda _: ([opened(drawer)], [Enqueue(operation, "file.1", 0.0)]), ABOUT)
    with ledger.reading() as reader:
        assert [row.operation_id for row in reader.queue()] == [operation]


def test_an_event_of_another_project_keeps_its_project(ledger: Ledger) -> None:
    """Authorship fills only what an event leaves open."""
    drawer = uuid4()
    theirs = msgspec.structs.replace(opened(drawer), project_id="project-2")
    (stored,) = ledger.save([theirs], About(project_id="project-1", actor="taskmanager")).events
    assert (stored.project_id, stored.actor) == ("project-2", "taskmanager")


def test_saving_inside_of_a_read_is_a_bug(ledger: Ledger) -> None:
    """A save would not be upon what was read, so it is refused loudly in every store."""
    with ledger.reading(), pytest.raises(AssertionError):
        ledger.save([opened(uuid4())], ABOUT)
    assert ledger.save([opened(uuid4())], ABOUT).position == 1
