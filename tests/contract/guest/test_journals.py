"""What every journal must do: the one on disk, the one on two disks, and the stand-in of the tests."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.support.guest_ports import MemoryJournal

from muniment.contract.messages import Outcome
from muniment_guest.journal import DiskJournal, Entry, Journal, Progressed

INSTANCE = uuid4()


def on_disk(home: Path) -> Journal:
    (home / "root").mkdir(exist_ok=True)
    return DiskJournal(home / "root", INSTANCE)


def on_two_disks(home: Path) -> Journal:
    journal = on_disk(home)
    assert isinstance(journal, DiskJournal)
    (home / "volume").mkdir(exist_ok=True)
    journal.add_home(home / "volume")
    return journal


def in_memory(home: Path) -> Journal:
    return MemoryJournal()


@pytest.fixture(params=[on_disk, on_two_disks, in_memory])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    """One of them, empty."""
    made: Callable[[Path], Journal] = request.param
    return made(tmp_path)


def started(command_id: UUID | None = None, *, expires_s: float = 100.0) -> Entry:
    return Entry(
        command_id=command_id or uuid4(),
        state=Progressed.STARTED,
        at_s=1.0,
        op="db.create",
        expires_s=expires_s,
    )


def test_unknown_command_is_not_found(journal: Journal) -> None:
    """A command that was never heard is not in the journal."""
    assert journal.find(uuid4()) is None
    assert journal.running() is None
    assert journal.latest() is None
    assert journal.epoch == 0
    assert journal.mark("engine") == ""


def test_started_command_runs_until_finished(journal: Journal) -> None:
    """A command is running from `start` to `finish`, and then has its outcome."""
    entry = started()
    journal.start(entry)
    assert journal.running() == entry
    outcome = Outcome(command_id=entry.command_id, ok=True)
    journal.finish(outcome, at_s=2.0, marks={"engine": "on"})
    assert journal.running() is None
    found = journal.find(entry.command_id)
    assert found is not None
    assert found.outcome == outcome
    assert found.state is Progressed.DONE
    assert journal.mark("engine") == "on"


def test_latest_is_the_last_one_finished(journal: Journal) -> None:
    """The newest outcome is told apart from older ones and from promises."""
    for _ in range(3):
        entry = started()
        journal.start(entry)
        journal.finish(Outcome(command_id=entry.command_id, ok=False), at_s=2.0)
    journal.promise_never(uuid4(), at_s=3.0)
    latest = journal.latest()
    assert latest is not None
    assert latest.command_id == entry.command_id


def test_promise_is_kept(journal: Journal) -> None:
    """A command promised away is found as such."""
    command_id = uuid4()
    journal.promise_never(command_id, at_s=1.0)
    found = journal.find(command_id)
    assert found is not None
    assert found.state is Progressed.NEVER


def test_epoch_only_grows(journal: Journal) -> None:
    """The highest epoch heard is kept; a lower one is a bug of the caller."""
    journal.raise_epoch(3)
    assert journal.epoch == 3
    with pytest.raises(AssertionError):
        journal.raise_epoch(3)


def test_command_is_started_once(journal: Journal) -> None:
    """Starting a command that is known is a bug of the caller."""
    entry = started()
    journal.start(entry)
    with pytest.raises(AssertionError):
        journal.start(entry)
