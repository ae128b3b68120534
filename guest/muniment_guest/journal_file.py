"""One copy of the journal on disk: records that survive a power cut, in space that was taken beforehand.

Two files of fixed size, written full of zeros when they are made, so that a full volume cannot stop the journal. One is
in use; to make room, what is still needed is written into the other, which then takes over. Layout of a file:

    records, each at a multiple of 512 bytes; the first is the head, which holds nothing and is written last
    record: `MJ01` | length 4 | generation 8 | instance 16 | SHA-256 over all of these and the payload 32 | payload

A record that is torn, damaged, of another instance or left from an earlier generation does not count; those after it do.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Final
from uuid import UUID

from muniment.durable_file import sync_folder

__all__ = ["FILE_PREFIX", "JournalFile", "JournalFull"]

FILE_PREFIX: Final = "muniment-journal."
"""Names of these files start so; a backup that holds one holds agent state, which no backup may."""
_BLOCK: Final = 512
_HEAD: Final = Struct(">4sIQ16s32s")
_MAGIC: Final = b"MJ01"
SLOT_BYTES: Final = 1024 * 1024


class JournalFull(Exception):
    """The record does not fit behind the others: compact, then try again."""


class JournalFile:
    """The two files in one directory. Not safe for two processes: the agent's lock sees to that."""

    def __init__(self, directory: Path, instance_id: UUID, *, slot_bytes: int = SLOT_BYTES) -> None:
        """Open the files, or make them; `records` then holds what was found, oldest first.

        Raises:
            OSError: the disk has no room for the files, or fails.
        """
        assert slot_bytes % _BLOCK == 0, slot_bytes
        self._instance = instance_id.bytes
        self._slot_bytes = slot_bytes
        self._handles = [_open_slot(directory / f"{FILE_PREFIX}{n}", slot_bytes) for n in (0, 1)]
        sync_folder(directory)
        self._current = 0
        self._generation = 0
        self._tail = 0
        self.records: Sequence[bytes] = self._load()

    def append(self, payload: bytes) -> None:
        """Add a record; it is durable when this returns.

        Raises:
            JournalFull: there is no room left.
            OSError: the disk fails.
        """
        record = self._record(payload, self._generation)
        if self._tail + len(record) > self._slot_bytes:
            raise JournalFull
        self._write(self._current, self._tail, record)
        self._tail += len(record)

    def replace(self, payloads: Sequence[bytes]) -> None:
        """Hold these records instead of all others; a crash in between leaves the old ones.

        Raises:
            JournalFull: they do not fit; the old ones are untouched.
            OSError: the disk fails.
        """
        other, generation = 1 - self._current, self._generation + 1
        records = b"".join(self._record(payload, generation) for payload in payloads)
        head = self._record(b"", generation)
        if len(head) + len(records) > self._slot_bytes:
            raise JournalFull
        self._write(other, 0, bytes(_BLOCK))
        self._write(other, len(head), records)
        self._write(other, 0, head)
        self._current, self._generation, self._tail = other, generation, len(head) + len(records)

    def fits(self, payloads: Sequence[bytes]) -> bool:
        """Whether `replace` would leave at least half of the space free."""
        return sum(_padded(_HEAD.size + len(payload)) for payload in payloads) <= self._slot_bytes // 2

    def close(self) -> None:
        """Let go of the files, so that their filesystem can be unmounted."""
        for handle in self._handles:
            os.close(handle)
        self._handles = []

    def _load(self) -> list[bytes]:
        found = [self._scan(slot) for slot in (0, 1)]
        self._current = 0 if found[0][0] >= found[1][0] else 1
        self._generation, self._tail, records = found[self._current]
        if self._generation == 0:
            self.replace([])
        return records

    def _scan(self, slot: int) -> tuple[int, int, list[bytes]]:
        """Generation (0: the file is not in use), end of the last record, and the records."""
        data = os.pread(self._handles[slot], self._slot_bytes, 0)
        head = self._read(data, 0)
        if head is None or head[1]:
            return 0, 0, []
        generation, records, tail, at = head[0], [], _BLOCK, _BLOCK
        while at < len(data):
            record = self._read(data, at)
            if record is None or record[0] != generation:
                at += _BLOCK
                continue
            records.append(record[1])
            at = tail = at + _padded(_HEAD.size + len(record[1]))
        return generation, tail, records

    def _read(self, data: bytes, at: int) -> tuple[int, bytes] | None:
        if len(data) - at < _HEAD.size:
            return None
        magic, length, generation, instance, digest = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if magic != _MAGIC or instance != self._instance or len(payload) != length:
            return None
        return (generation, payload) if digest == self._digest(generation, payload) else None

    def _record(self, payload: bytes, generation: int) -> bytes:
        digest = self._digest(generation, payload)
        record = _HEAD.pack(_MAGIC, len(payload), generation, self._instance, digest) + payload
        return record.ljust(_padded(len(record)), b"\0")

    def _digest(self, generation: int, payload: bytes) -> bytes:
        return sha256(
            _MAGIC + len(payload).to_bytes(4) + generation.to_bytes(8) + self._instance + payload
        ).digest()

    def _write(self, slot: int, at: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._handles[slot], view, at)
            view, at = view[written:], at + written
        os.fdatasync(self._handles[slot])


def _padded(length: int) -> int:
    return -(-length // _BLOCK) * _BLOCK


def _open_slot(path: Path, slot_bytes: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        missing = slot_bytes - os.fstat(handle).st_size
        if missing > 0:
            # Written, not only reserved: overwriting a written block takes no space, which unwritten extents may.
            os.pwrite(handle, bytes(missing), slot_bytes - missing)
            os.fsync(handle)
    except OSError:
        with suppress(OSError):
            os.close(handle)
        raise
    return handle
