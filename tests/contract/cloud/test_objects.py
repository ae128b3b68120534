"""Where backups lie, seen from the control plane: a store that is away confirms nothing."""

from pathlib import Path
from uuid import uuid4

import pytest

from muniment.cloud.local.backups_mark import BackupsMark
from muniment.cloud.local.objects import FileObjectStore
from muniment.fault import Fault


def test_a_removal_waits_for_the_disk(tmp_path: Path) -> None:
    """Nothing is confirmed gone on a bare mount point; with the disk it goes."""
    place, data = tmp_path / "disk", tmp_path / "data"
    place.mkdir()
    mark = BackupsMark(place, data)
    mark.write()
    store = FileObjectStore(place, mark)
    reference = store.reference("p", uuid4(), until_s=0)
    Path(reference.location).mkdir()
    place.rename(tmp_path / "unmounted")
    place.mkdir()

    with pytest.raises(Fault, match="is its disk mounted") as away:
        store.purge(reference)
    assert away.value.retryable
    with pytest.raises(Fault, match="is its disk mounted"):
        store.free_bytes()

    place.rmdir()
    (tmp_path / "unmounted").rename(place)
    assert store.purge(reference)
    assert not Path(reference.location).exists()


def test_the_backups_of_another_are_not_ours(tmp_path: Path) -> None:
    """While the one that is named is there under that name, and it is not only another name of ours."""
    one, other, link = tmp_path / "one", tmp_path / "other", tmp_path / "link"
    one.mkdir()
    other.mkdir()
    link.symlink_to(one)
    BackupsMark(tmp_path, one).write()

    BackupsMark(tmp_path, link).check()
    with pytest.raises(Fault, match=f"holds those of {one}"):
        BackupsMark(tmp_path, other).check()
    one.rename(tmp_path / "gone")
    BackupsMark(tmp_path, other).check()


def test_a_mark_that_people_made(tmp_path: Path) -> None:
    """An empty one is the way to take another directory for the backups."""
    (tmp_path / BackupsMark.NAME).touch()
    BackupsMark(tmp_path, tmp_path / "data").check()
