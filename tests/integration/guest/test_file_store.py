"""The directory store's own promises."""

import stat
from pathlib import Path

import pytest

from muniment.clock import ManualClock, seconds
from muniment.contract.backup import StoreRef
from muniment.contract.errors import Code, OpFailed
from muniment_guest.stores.file import FileStore
from muniment_guest.stores.store import open_store


def open_at(path: Path, clock: ManualClock, *, lives_s: float = 60.0) -> FileStore:
    return FileStore(StoreRef(kind="file", location=str(path), until_s=seconds(clock.now()) + lives_s), clock)


def put(store: FileStore, name: str) -> None:
    with store.write(name) as file:
        file.write(b"x")


def code_of(failed: pytest.ExceptionInfo[OpFailed]) -> Code:
    return failed.value.error.code


def test_nothing_is_written_past_the_grant(tmp_path: Path) -> None:
    """Neither begun after its end, nor completed after it; reading and deleting go on."""
    clock = ManualClock()
    store = open_at(tmp_path / "b", clock)
    put(store, "first")
    with pytest.raises(OpFailed) as failed, store.write("late"):
        clock.advance(60)
    assert code_of(failed) is Code.STORAGE_UNAVAILABLE
    with pytest.raises(OpFailed):
        put(store, "later")
    assert list(store.names()) == ["first"]
    store.clear()
    assert not (tmp_path / "b").exists()


def test_directory_above_must_be_there(tmp_path: Path) -> None:
    """A disk for backups that is not mounted does not become a directory on another one."""
    with pytest.raises(OpFailed) as failed:
        put(open_at(tmp_path / "not-mounted" / "b", ManualClock()), "x")
    assert code_of(failed) is Code.NOT_FOUND
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 101, "x.draft", "A"])
def test_names_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    """Names in a manifest are not trusted as paths."""
    with pytest.raises(OpFailed) as failed, open_at(tmp_path / "b", ManualClock()).read(name):
        pass
    assert code_of(failed) is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("location", ["relative", "/tmp/../etc"])
def test_location_is_an_absolute_path(location: str) -> None:
    """Anything else is refused."""
    with pytest.raises(OpFailed):
        open_store(StoreRef(kind="file", location=location, until_s=0), ManualClock())


def test_unknown_kind_is_unsupported() -> None:
    """A store that this agent does not know."""
    with pytest.raises(OpFailed) as failed:
        open_store(StoreRef(kind="tape", location="/x", until_s=0), ManualClock())
    assert code_of(failed) is Code.UNSUPPORTED


def test_files_are_private(tmp_path: Path) -> None:
    """Backups are sealed, and closed to others all the same."""
    put(open_at(tmp_path / "b", ManualClock()), "x")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "b" / "x").stat().st_mode) == 0o600


def test_free_space_is_known_before_the_first_write(tmp_path: Path) -> None:
    """Of the disk on which the backup will lie."""
    free = open_at(tmp_path / "b", ManualClock()).free_bytes()
    assert free is not None
    assert free > 0


def test_what_a_killed_write_left_is_cleared(tmp_path: Path) -> None:
    """A job that was killed leaves a draft; the next try begins in an empty place and may use the same names."""
    store = open_at(tmp_path / "b", ManualClock())
    put(store, "first")
    (tmp_path / "b" / "segment-000000.draft").write_bytes(b"half of it")
    assert list(store.names()) == ["first", "segment-000000.draft"]
    store.clear()
    assert not (tmp_path / "b").exists()
    put(store, "segment-000000")


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """What no write of ours can have left stays, and does not keep a place from being cleared of what is ours."""
    store = open_at(tmp_path / "b", ManualClock())
    put(store, "first")
    foreign = [".hidden", "README", "x.draft.draft"]
    for name in foreign:
        (tmp_path / "b" / name).touch()
    store.clear()
    assert list(store.names()) == foreign


def test_a_store_without_its_mark_is_away(tmp_path: Path) -> None:
    """On a bare mount point nothing is written, listed, read, counted or taken for deleted; all is back with the disk."""
    mark = tmp_path / "mark"
    mark.touch()
    ref = StoreRef(kind="file", location=str(tmp_path / "b"), mark=mark.name, until_s=4e9)
    store = FileStore(ref, ManualClock())
    put(store, "first")
    mark.unlink()
    (tmp_path / "b").rename(tmp_path / "hidden")

    for use in (
        lambda: put(store, "second"),
        lambda: list(store.names()),
        lambda: store.read("first").__enter__(),
        lambda: store.delete("first"),
        store.clear,
        store.free_bytes,
    ):
        with pytest.raises(OpFailed, match="is its disk mounted") as failed:
            use()
        assert (code_of(failed), failed.value.error.retryable) == (Code.STORAGE_UNAVAILABLE, True)
    assert [path.name for path in tmp_path.iterdir()] == ["hidden"]

    mark.touch()
    (tmp_path / "hidden").rename(tmp_path / "b")
    put(store, "second")
    assert list(store.names()) == ["first", "second"]


def test_a_disk_that_goes_during_a_write(tmp_path: Path) -> None:
    """What was written on it does not count."""
    (tmp_path / "mark").touch()
    ref = StoreRef(kind="file", location=str(tmp_path / "b"), mark="mark", until_s=4e9)
    store = FileStore(ref, ManualClock())
    with pytest.raises(OpFailed, match="is its disk mounted"), store.write("first"):
        (tmp_path / "mark").unlink()
    (tmp_path / "mark").touch()
    assert list(store.names()) == []
