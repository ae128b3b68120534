"""The journal over its copies: what survives a restart, a lost disk, a full one, and time."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from muniment.contract.messages import Outcome
from muniment.fault import Fault
from muniment_guest.journal import DiskJournal, Entry, Progressed
from muniment_guest.journal_file import JournalFile

INSTANCE = uuid4()


def small_file(home: Path, instance_id: UUID) -> JournalFile:
    return JournalFile(home, instance_id, slot_bytes=100 * 512)


class Homes:
    """A root disk and a volume, and journals over them."""

    def __init__(self, path: Path) -> None:
        self.root, self.volume = path / "root", path / "volume"
        self.root.mkdir()
        self.volume.mkdir()

    def open(self, *, volume: bool = True) -> DiskJournal:
        journal = DiskJournal(self.root, INSTANCE, open_file=small_file)
        if volume:
            journal.add_home(self.volume)
        return journal


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    return Homes(tmp_path)


def run(
    journal: DiskJournal, command_id: UUID, *, expires_s: float = 10.0, at_s: float = 1.0, size: int = 10
) -> Outcome:
    entry = Entry(
        command_id=command_id, state=Progressed.STARTED, at_s=at_s, op="db.create", expires_s=expires_s
    )
    journal.start(entry)
    outcome = Outcome(command_id=command_id, ok=True, result=b"r" * size)
    journal.finish(outcome, at_s=at_s)
    return outcome


def test_everything_is_there_after_a_restart(homes: Homes) -> None:
    """Outcomes, promises, epoch and marks outlive the process."""
    journal = homes.open()
    done, promised, running = uuid4(), uuid4(), uuid4()
    outcome = run(journal, done)
    journal.promise_never(promised, at_s=1.0)
    journal.raise_epoch(4)
    journal.start(Entry(command_id=running, state=Progressed.STARTED, at_s=1.0, op="x"))
    again = homes.open()
    found = again.find(done)
    assert found is not None
    assert found.outcome == outcome
    assert again.epoch == 4
    running_entry = again.running()
    assert running_entry is not None
    assert running_entry.command_id == running
    promise = again.find(promised)
    assert promise is not None
    assert promise.state is Progressed.NEVER


@pytest.mark.parametrize("lost", ["root", "volume"])
def test_either_copy_alone_is_enough(homes: Homes, lost: str) -> None:
    """A server rebuilt with a new root disk, or a volume copy that is gone, knows the same commands."""
    command_id = uuid4()
    outcome = run(homes.open(), command_id)
    for path in getattr(homes, lost).iterdir():
        path.unlink()
    found = homes.open().find(command_id)
    assert found is not None
    assert found.outcome == outcome


def test_what_happened_before_the_volume_came_is_copied_to_it(homes: Homes) -> None:
    """The command that prepares the volume is in the volume's copy too."""
    command_id = uuid4()
    journal = homes.open(volume=False)
    run(journal, command_id)
    journal.add_home(homes.volume)
    for path in homes.root.iterdir():
        path.unlink()
    assert homes.open().find(command_id) is not None


def test_marks_of_the_newer_copy_win(homes: Homes) -> None:
    """A root disk that was rolled back does not bring an old mark back."""
    journal = homes.open()
    entry = Entry(command_id=uuid4(), state=Progressed.STARTED, at_s=1.0, op="server.bootstrap")
    journal.start(entry)
    journal.finish(Outcome(command_id=entry.command_id, ok=True), at_s=1.0, marks={"engine": "on"})
    rolled_back = {path: path.read_bytes() for path in homes.root.iterdir()}
    entry = Entry(command_id=uuid4(), state=Progressed.STARTED, at_s=2.0, op="server.stop")
    journal.start(entry)
    journal.finish(Outcome(command_id=entry.command_id, ok=True), at_s=2.0, marks={"engine": "off"})
    journal.close()
    for path, data in rolled_back.items():
        path.write_bytes(data)
    assert homes.open().mark("engine") == "off"


def test_journal_goes_on_for_ever_in_its_space(homes: Homes) -> None:
    """More commands than fit go through, since what nobody can ask for is forgotten; the newest are there."""
    journal = homes.open()
    ids = [uuid4() for _ in range(200)]
    for n, command_id in enumerate(ids):
        run(journal, command_id, at_s=n * 3600.0, expires_s=n * 3600.0 + 60)
    again = homes.open()
    assert all(again.find(command_id) is not None for command_id in ids[-16:])
    assert again.find(ids[0]) is None


def test_full_copy_does_not_stop_the_other(homes: Homes) -> None:
    """When the volume's copy fails, the one on the root disk carries on."""
    journal = homes.open()
    journal._homes[homes.volume].close()
    journal._homes[homes.volume]._handles = [-1, -1]
    command_id = uuid4()
    run(journal, command_id)
    journal._homes.pop(homes.volume)
    assert homes.open(volume=False).find(command_id) is not None


def test_without_any_copy_nothing_starts(homes: Homes) -> None:
    """A command that cannot be remembered is not begun: the journal says so before."""
    journal = homes.open(volume=False)
    journal._homes[homes.root].close()
    journal._homes[homes.root]._handles = [-1, -1]
    with pytest.raises(Fault):
        run(journal, uuid4())
    journal._homes.clear()


def test_foreign_journal_on_a_volume_is_ignored(homes: Homes) -> None:
    """A volume cloned from another instance does not make this one believe that its commands ran."""
    command_id = uuid4()
    other = DiskJournal(homes.volume, uuid4(), open_file=small_file)
    run(other, command_id)
    other.raise_epoch(9)
    other.close()
    journal = homes.open()
    assert journal.find(command_id) is None
    assert journal.epoch == 0
