"""One copy of the journal on disk, torn and damaged in every way."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from muniment_guest.journal_file import FILE_PREFIX, JournalFile, JournalFull

INSTANCE = uuid4()
SLOT = 16 * 512


def open_file(home: Path, instance=INSTANCE) -> JournalFile:
    return JournalFile(home, instance, slot_bytes=SLOT)


def in_use(home: Path) -> Path:
    """The file that holds the newest records."""
    paths = [home / f"{FILE_PREFIX}{n}" for n in (0, 1)]
    return max(paths, key=lambda path: int.from_bytes(path.read_bytes()[8:16]))


def test_records_come_back_in_order(tmp_path: Path) -> None:
    """What was appended is there after the file is opened again, oldest first."""
    file = open_file(tmp_path)
    for payload in (b"one", b"two" * 300, b"three"):
        file.append(payload)
    assert list(open_file(tmp_path).records) == [b"one", b"two" * 300, b"three"]


def test_torn_at_every_byte(tmp_path: Path) -> None:
    """A last record of which only some bytes reached the disk is ignored, and the next append takes its place."""
    file = open_file(tmp_path)
    file.append(b"kept")
    before = in_use(tmp_path).read_bytes()
    file.append(b"torn" * 12)
    path = in_use(tmp_path)
    after = path.read_bytes()
    written = [at for at in range(SLOT) if before[at] != after[at]]
    for cut in range(written[0], written[-1] + 1):
        path.write_bytes(after[:cut] + before[cut:])
        torn = open_file(tmp_path)
        assert list(torn.records) == [b"kept"], cut
        torn.close()
    torn = open_file(tmp_path)
    torn.append(b"next")
    assert list(open_file(tmp_path).records) == [b"kept", b"next"]


def test_damage_costs_one_record(tmp_path: Path) -> None:
    """A damaged record is ignored, those before and after it are read."""
    file = open_file(tmp_path)
    for payload in (b"before", b"hit", b"after"):
        file.append(payload)
    path = in_use(tmp_path)
    data = path.read_bytes()
    length = 64 + len(b"hit")
    for byte in range(length):
        flipped = bytearray(data)
        flipped[2 * 512 + byte] ^= 1 << byte % 8
        path.write_bytes(flipped)
        damaged = open_file(tmp_path)
        assert list(damaged.records) == [b"before", b"after"], byte
        damaged.close()


def test_another_instances_records_do_not_count(tmp_path: Path) -> None:
    """A volume that was restored from another instance's brings that one's journal; it is ignored."""
    open_file(tmp_path).append(b"foreign")
    assert list(open_file(tmp_path, uuid4()).records) == []


def test_full_file_says_so_and_can_be_replaced(tmp_path: Path) -> None:
    """When no record fits any more, the records still needed are written anew and appending goes on."""
    file = open_file(tmp_path)
    for n in range(15):
        file.append(b"%d" % n)
    with pytest.raises(JournalFull):
        file.append(b"one too many")
    file.replace([b"kept"])
    file.append(b"more")
    assert list(open_file(tmp_path).records) == [b"kept", b"more"]


def test_replacing_cut_off_anywhere_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever write of a replacement was the last to reach the disk, the old or the new records are there."""
    write = os.pwrite
    for allowed in range(5):
        home = tmp_path / str(allowed)
        home.mkdir()
        file = open_file(home)
        file.append(b"old")
        left = [allowed]

        def cut(handle: int, data: bytes, at: int, left: list[int] = left) -> int:
            if left[0] == 0:
                raise OSError("power cut")
            left[0] -= 1
            return write(handle, data, at)

        monkeypatch.setattr(os, "pwrite", cut)
        with suppress(OSError):
            file.replace([b"new 1", b"new 2"])
        monkeypatch.undo()
        assert list(open_file(home).records) in ([b"old"], [b"new 1", b"new 2"])


def test_leftovers_of_an_earlier_generation_do_not_count(tmp_path: Path) -> None:
    """A file that is used again still holds longer, older records behind the new ones; they stay forgotten."""
    file = open_file(tmp_path)
    for payload in (b"a", b"b", b"c", b"d"):
        file.append(payload)
    file.replace([b"x"])
    file.replace([b"y"])
    assert list(open_file(tmp_path).records) == [b"y"]


def test_space_is_taken_beforehand(tmp_path: Path) -> None:
    """Both files have their full size, in written blocks, from the start."""
    open_file(tmp_path)
    for n in (0, 1):
        stat = (tmp_path / f"{FILE_PREFIX}{n}").stat()
        assert stat.st_size == SLOT
        assert stat.st_blocks * 512 >= SLOT
