"""Personal fields are sealed in the store, and gone for good with their project's key."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.drawers import DRAWER, DrawerOpened, Slip, moved, opened
from tests.support.ledgers import ABOUT, altering, ledger_on

from muniment.domain.event import ERASED, About, Event
from muniment.fault import Fault
from muniment.secrets.personal import PROJECT_KEY
from muniment.store.chain import GENESIS, digest
from muniment.store.ledger import Ledger
from muniment.store.sqlite import SQLiteRecorder
from muniment.store.verify import verify_log
from muniment.store.writes import DeleteKey

ERASE = DeleteKey(PROJECT_KEY, "project-1")


def _full(drawer: UUID) -> DrawerOpened:
    return DrawerOpened(
        originator_id=drawer,
        originator_version=1,
        label="canary-label",
        shelf=3,
        remark="canary-remark",
        slips=[Slip(title="canary-first", pages=1), Slip(title="canary-second", pages=2)],
        keepers={"day": "canary-keeper"},
    )


def _bodies(recorder: SQLiteRecorder) -> list[bytes]:
    with recorder.reading() as cursor:
        cursor.execute("SELECT state FROM events ORDER BY position", {})
        return [row["state"] for row in cursor.fetchall()]


def test_no_personal_text_is_stored(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """Fields at any depth are sealed, all others stay readable, and everything reads as it was written."""
    drawer = uuid4()
    ledger.save([_full(drawer)], ABOUT)
    (body,) = _bodies(recorder)
    assert b"canary" not in body
    plain = msgspec.json.decode(body)
    assert (plain["shelf"], [slip["pages"] for slip in plain["slips"]]) == (3, [1, 2])
    (event,) = ledger.history(drawer)
    assert msgspec.structs.replace(
        event, event_id=None, at=None, actor="", request_id="", project_id=""
    ) == _full(drawer)


def test_an_absent_optional_field_stays_absent(ledger: Ledger) -> None:
    """None is not sealed and comes back as None."""
    drawer = uuid4()
    ledger.save([opened(drawer)], ABOUT)
    (event,) = ledger.history(drawer)
    assert isinstance(event, DrawerOpened)
    assert event.remark is None


def test_two_equal_texts_are_not_equal_in_the_store(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """Sealing tells nobody which names are alike."""
    ledger.save([opened(uuid4()), opened(uuid4())], ABOUT)
    first, second = (msgspec.json.decode(body)["label"] for body in _bodies(recorder))
    assert first != second


def test_an_erased_project_reads_as_erased(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """After its key is gone every personal field reads `erased`, state folds, and the chain holds."""
    drawer = uuid4()
    ledger.save([_full(drawer), moved(drawer, 2, shelf=8)], ABOUT)
    ledger.save([], ABOUT, writes=[ERASE])
    (event, _) = ledger.history(drawer)
    assert isinstance(event, DrawerOpened)
    assert {event.label, event.remark, *(slip.title for slip in event.slips), *event.keepers.values()} == {
        ERASED
    }
    state = ledger.load(DRAWER, drawer)
    assert state is not None
    assert (state.label, state.shelf) == (ERASED, 8)
    assert verify_log(recorder).broken is None


def test_an_erasure_counts_at_once_in_another_ledger(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """Keys are read with what they open: a process that used one before the erasure opens nothing after it."""
    drawer, other = uuid4(), ledger_on(recorder)
    ledger.save([opened(drawer)], ABOUT)
    assert other.load(DRAWER, drawer) == ledger.load(DRAWER, drawer)
    ledger.save([], ABOUT, writes=[ERASE])
    state = other.load(DRAWER, drawer)
    assert state is not None
    assert state.label == ERASED


def test_a_project_may_live_on_after_its_erasure(ledger: Ledger) -> None:
    """New personal fields get a new key; what was erased stays erased."""
    old, new = uuid4(), uuid4()
    ledger.save([opened(old)], ABOUT)
    ledger.save([], ABOUT, writes=[ERASE])
    ledger.save([opened(new)], ABOUT)
    labels = [state.label for state in (ledger.load(DRAWER, old), ledger.load(DRAWER, new)) if state]
    assert labels == [ERASED, "deeds"]


def test_an_erasure_leaves_other_projects_alone(ledger: Ledger) -> None:
    """Each project has a key of its own."""
    drawer = uuid4()
    ledger.save([opened(drawer)], About(project_id="project-2", actor="user:other"))
    ledger.save([opened(uuid4())], ABOUT)
    ledger.save([], ABOUT, writes=[ERASE])
    state = ledger.load(DRAWER, drawer)
    assert state is not None
    assert state.label == "deeds"


def test_a_key_is_made_at_the_first_personal_field_only(ledger: Ledger) -> None:
    """Events without personal fields need no key."""
    drawer = uuid4()
    with_none = moved(drawer, 1)
    ledger.save([with_none], ABOUT)
    with ledger.reading() as reader:
        assert reader.keys(PROJECT_KEY, "project-1") == []


def test_first_saves_at_once_end_with_one_key(recorder: SQLiteRecorder) -> None:
    """Eight first saves of one project race; there is one key, and every label opens."""
    ledgers, drawers = [ledger_on(recorder) for _ in range(8)], [uuid4() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda pair: pair[0].save([opened(pair[1])], ABOUT), zip(ledgers, drawers, strict=True))
        )
    with ledgers[0].reading() as reader:
        assert len(reader.keys(PROJECT_KEY, "project-1")) == 1
    assert {state.label for state in (ledgers[0].load(DRAWER, drawer) for drawer in drawers) if state} == {
        "deeds"
    }


@pytest.mark.parametrize("field", ["originator_id", "originator_version", "project_id", "field"])
def test_a_sealed_field_opens_only_where_it_was_sealed(
    ledger: Ledger, recorder: SQLiteRecorder, field: str
) -> None:
    """A field moved to another stream, version, project or name does not open, even with the chain made anew."""
    drawer, elsewhere = uuid4(), uuid4()
    ledger.save([opened(uuid4())], About(project_id="project-2", actor="user:other"))
    (event,) = ledger.save([_full(drawer)], ABOUT).events
    body = msgspec.json.decode(_bodies(recorder)[1])
    moves: dict[str, dict[str, object]] = {
        "originator_id": {"originator_id": str(elsewhere)},
        "originator_version": {"originator_version": 2},
        "project_id": {"project_id": "project-2"},
        "field": {"label": body["remark"], "remark": body["label"]},
    }
    _forge(recorder, event, body | moves[field])
    if field == "project_id":
        # The other project's keys do not know the one that sealed it: gone, as after an erasure.
        (forged,) = ledger.history(drawer)
        assert isinstance(forged, DrawerOpened)
        assert forged.label == ERASED
    else:
        with pytest.raises(Fault, match="altered or moved"):
            ledger.history(drawer)


def test_a_field_that_is_not_sealed_is_refused(ledger: Ledger, recorder: SQLiteRecorder) -> None:
    """Plain text in the place of a sealed field was not written by the store."""
    drawer = uuid4()
    (event,) = ledger.save([opened(drawer)], ABOUT).events
    _forge(recorder, event, msgspec.json.decode(_bodies(recorder)[0]) | {"label": "forged"})
    with pytest.raises(Fault, match="not sealed"):
        ledger.history(drawer)


def _forge(recorder: SQLiteRecorder, event: Event, body: dict[str, object]) -> None:
    encoded = msgspec.json.encode(body)
    made = digest(GENESIS, event.originator_id, 1, event.TOPIC, encoded)
    with altering(recorder) as cursor:
        cursor.execute(
            "UPDATE events SET state = ?, digest = ? WHERE originator_id = ?",
            (encoded, made, str(event.originator_id)),
        )
