"""What every store of backups must do: a directory, and the stand-in of the tests."""

import os
from pathlib import Path
from typing import IO

import pytest
from tests.support.guest_ports import MemoryStore

from muniment.clock import ManualClock, seconds
from muniment.contract.backup import StoreRef
from muniment.contract.errors import Code, OpFailed
from muniment_guest.stores.file import FileStore
from muniment_guest.stores.store import ObjectStore


def in_directory(home: Path) -> ObjectStore:
    clock = ManualClock()
    ref = StoreRef(kind="file", location=str(home / "backup"), until_s=seconds(clock.now()) + 60)
    return FileStore(ref, clock)


def in_memory(home: Path) -> ObjectStore:
    return MemoryStore()


@pytest.fixture(params=[in_directory, in_memory])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """One of them, empty."""
    made: ObjectStore = request.param(tmp_path)
    return made


def put(store: ObjectStore, name: str, data: bytes) -> None:
    with store.write(name) as file:
        file.write(data)


def get(store: ObjectStore, name: str) -> bytes:
    with store.read(name) as file:
        return file.read()


def test_what_was_written_is_read(store: ObjectStore) -> None:
    """An object is there once its block was left, and listed in order."""
    put(store, "segment-2", b"two")
    put(store, "segment-1", b"one")
    assert get(store, "segment-1") == b"one"
    assert list(store.names()) == ["segment-1", "segment-2"]


def test_broken_write_leaves_nothing(store: ObjectStore) -> None:
    """An exception in the block means that there never was such an object."""
    with pytest.raises(ZeroDivisionError), store.write("x") as file:
        fail_after(file)
    assert list(store.names()) == []


def test_missing_object_is_not_found(store: ObjectStore) -> None:
    """Reading what is not there says so."""
    with pytest.raises(OpFailed) as failed:
        get(store, "x")
    assert failed.value.error.code is Code.NOT_FOUND


def test_deleting_twice_is_fine(store: ObjectStore) -> None:
    """Have it gone."""
    put(store, "x", b"1")
    store.delete("x")
    store.delete("x")
    assert list(store.names()) == []


def test_clear_removes_all(store: ObjectStore) -> None:
    """Also where nothing was ever written."""
    store.clear()
    put(store, "x", b"1")
    put(store, "y", b"2")
    store.clear()
    assert list(store.names()) == []


def test_killed_write_stands_in_nobodys_way(store: ObjectStore) -> None:
    """What is left where no code ran any more goes with a clear, and the same name can be written and read."""
    put(store, "segment-1", b"whole")
    kill_while_writing(store, "segment-2")
    store.clear()
    assert list(store.names()) == []
    put(store, "segment-2", b"again")
    assert (list(store.names()), get(store, "segment-2")) == (["segment-2"], b"again")


def kill_while_writing(store: ObjectStore, name: str) -> None:
    """Write in a process that is gone in the middle, as by SIGKILL or a power cut."""
    child = os.fork()
    if child == 0:
        with store.write(name) as file:
            file.write(b"half")
            file.flush()
            os._exit(0)
    os.waitpid(child, 0)


def fail_after(file: IO[bytes]) -> None:
    file.write(b"half")
    raise ZeroDivisionError
