"""The bytes of a backup as they are stored, format version 1: compressed, cut into frames, each sealed on its own.

The engine's tool yields plain bytes. They are compressed as one zstandard stream (level 1, with its checksum), which is
cut into pieces of 1 MiB, the last one shorter. Each piece becomes a frame:

    off len field
      0   4 magic `MBF1`
      4   4 length of the sealed part
      8   8 number, from 0
     16   1 1 for the last frame, else 0
     17   3 zero
     20  12 nonce, random
     32   n AES-256-GCM of the piece under the backup's data key
            associated data: `muniment/backup/v1` | backup id 16 | format version 4 | number 8 | last 1

Frames lie one after the other in segments; a segment holds whole frames. Numbers in this format are big-endian. Random
nonces, since a backup that is tried again uses the same data key for other bytes.

A reader that knows the data key and the backup's id can prove of each frame that it is whole, in its place and of this
backup, and of the last one that nothing is missing; the manifest's digests prove the segments without any key.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from struct import Struct
from typing import IO, Final, cast
from uuid import UUID

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from muniment.contract.backup import FORMAT_VERSION, BackupManifest, Segment
from muniment.contract.errors import Code, OpFailed
from muniment.secret import Secret
from muniment_guest.stores.store import ObjectStore

__all__ = ["DATA_KEY_BYTES", "PIECE_BYTES", "PlainReader", "SealedWriter", "segment_bytes_for", "unseal"]

DATA_KEY_BYTES: Final = 32
PIECE_BYTES: Final = 1024 * 1024
_HEAD: Final = Struct(">4sIQB3s12s")
_BINDING: Final = Struct(">18s16sIQB")
_MAGIC: Final = b"MBF1"
_LABEL: Final = b"muniment/backup/v1"
_TAG_BYTES: Final = 16
_LEVEL: Final = 1
_SEGMENT_BYTES: Final = 64 * 1024 * 1024
_SEGMENTS_MAX: Final = 256
_READ_BYTES: Final = 256 * 1024


def segment_bytes_for(estimated_bytes: int) -> int:
    """How large segments are to be: 64 MiB, and more where the list of them would grow beyond what a message carries.

    >>> segment_bytes_for(10**9) // 1024**2, segment_bytes_for(2**40) // 1024**2
    (64, 4096)
    """
    return max(_SEGMENT_BYTES, -(-estimated_bytes // _SEGMENTS_MAX))


class Sealer:
    """Seals and opens the frames of one backup."""

    def __init__(self, data_key: Secret, backup_id: UUID) -> None:
        """Take the backup's data key.

        Raises:
            OpFailed: `invalid_argument`, when it has not 32 bytes.
        """
        key = data_key.reveal()
        if len(key) != DATA_KEY_BYTES:
            raise OpFailed(Code.INVALID_ARGUMENT, f"a data key has {DATA_KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self._backup = backup_id.bytes

    def seal(self, piece: bytes, number: int, *, is_last: bool) -> bytes:
        """The frame for a piece."""
        nonce = os.urandom(12)
        sealed = self._cipher.encrypt(nonce, piece, self._binding(number, is_last=is_last))
        return _HEAD.pack(_MAGIC, len(sealed), number, is_last, bytes(3), nonce) + sealed

    def open(self, head: bytes, sealed: bytes, number: int) -> tuple[bytes, bool]:
        """The piece of frame `number`, and whether it is the last.

        Raises:
            OpFailed: `integrity_failed`.
        """
        _, _, found, is_last, _, nonce = _HEAD.unpack(head)
        if found != number:
            raise damaged(f"frame {found} stands where frame {number} belongs")
        try:
            return self._cipher.decrypt(nonce, sealed, self._binding(number, is_last=is_last)), bool(is_last)
        except InvalidTag:
            raise damaged(
                f"frame {number} is not authentic: altered, of another backup, or another key"
            ) from None

    def _binding(self, number: int, *, is_last: bool) -> bytes:
        return _BINDING.pack(_LABEL, self._backup, FORMAT_VERSION, number, is_last)


class SealedWriter:
    """Takes plain bytes, writes sealed segments into a store. Memory: a few pieces, whatever the size of the backup."""

    def __init__(
        self, store: ObjectStore, data_key: Secret, backup_id: UUID, *, segment_bytes: int = _SEGMENT_BYTES
    ) -> None:
        """Write segments of about `segment_bytes`. Close it with `finish`, or leave it: then what is open is dropped."""
        self._store = store
        self._sealer = Sealer(data_key, backup_id)
        self._segment_bytes = segment_bytes
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        self._pending = bytearray()
        self._plain_digest = sha256()
        self._open: _OpenSegment | None = None
        self.plain_bytes = 0
        self.stored_bytes = 0
        self.frames = 0
        self.segments: list[Segment] = []

    @property
    def plain_sha256(self) -> str:
        """Digest of all plain bytes so far, in hex."""
        return self._plain_digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Add plain bytes."""
        self._plain_digest.update(data)
        self.plain_bytes += len(data)
        self._pending += self._compressor.compress(data)
        # One piece stays behind, since only `finish` knows which is the last.
        while len(self._pending) > PIECE_BYTES:
            piece = bytes(self._pending[:PIECE_BYTES])
            del self._pending[:PIECE_BYTES]
            self._put(piece, is_last=False)

    def finish(self) -> None:
        """The plain bytes are complete: write the last frame, close the last segment."""
        self._pending += self._compressor.flush()
        while len(self._pending) > PIECE_BYTES:
            piece = bytes(self._pending[:PIECE_BYTES])
            del self._pending[:PIECE_BYTES]
            self._put(piece, is_last=False)
        self._put(bytes(self._pending), is_last=True)
        self._close_segment()

    def abandon(self) -> None:
        """Drop the segment that is open; those that were closed stay for the caller to delete."""
        if self._open is not None:
            self._open.abandon()
            self._open = None

    def _put(self, piece: bytes, *, is_last: bool) -> None:
        frame = self._sealer.seal(piece, self.frames, is_last=is_last)
        if self._open is None:
            self._open = _OpenSegment(self._store, f"segment-{len(self.segments):06d}", self.frames)
        self._open.add(frame)
        self.frames += 1
        self.stored_bytes += len(frame)
        if self._open.size_bytes >= self._segment_bytes:
            self._close_segment()

    def _close_segment(self) -> None:
        if self._open is not None:
            self.segments.append(self._open.close())
            self._open = None


class _OpenSegment:
    """The segment being written."""

    def __init__(self, store: ObjectStore, name: str, first_frame: int) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(store.write(name))
        self._digest = sha256()
        self._name = name
        self._first_frame = first_frame
        self._frames = 0
        self.size_bytes = 0

    def add(self, frame: bytes) -> None:
        self._file.write(frame)
        self._digest.update(frame)
        self._frames += 1
        self.size_bytes += len(frame)

    def close(self) -> Segment:
        self._stack.close()
        return Segment(
            name=self._name,
            size_bytes=self.size_bytes,
            sha256=self._digest.hexdigest(),
            first_frame=self._first_frame,
            frames=self._frames,
        )

    def abandon(self) -> None:
        """Leave the store's block as an exception would, so that nothing appears under the name."""
        dropped = _Dropped()
        try:
            with self._stack:
                raise dropped
        except _Dropped:
            return


class _Dropped(Exception):
    pass


def unseal(
    store: ObjectStore,
    manifest: BackupManifest,
    data_key: Secret,
    on_segment: Callable[[Segment], None] | None = None,
) -> Iterator[bytes]:
    """The plain bytes of a backup, in chunks, each proven before it is yielded, and all of them at the end.

    Raises:
        OpFailed: `integrity_failed`, `not_found`, `storage_unavailable`.
    """
    pieces = _pieces(store, manifest, Sealer(data_key, manifest.backup_id), on_segment)
    digest, plain_bytes = sha256(), 0
    # A reader, since a piece of 1 MiB may hold gigabytes of zeros: what comes out has to be bounded too.
    # It reads to the end of the pieces, whatever follows on the stream's end in the same one.
    reader = zstandard.ZstdDecompressor().stream_reader(
        cast(IO[bytes], _PieceFile(pieces)), read_size=PIECE_BYTES, read_across_frames=True
    )
    while plain := _decompress(reader):
        digest.update(plain)
        plain_bytes += len(plain)
        yield plain
    # An empty piece looks like the end to the reader; what proves the last segment comes after its last piece.
    if next(pieces, None) is not None:
        raise damaged("the backup goes on after its content has ended")
    if plain_bytes != manifest.plain_bytes or digest.hexdigest() != manifest.plain_sha256:
        raise damaged("the backup's content is not what its manifest says")


class _PieceFile(io.RawIOBase):
    """Pieces as the file that the decompressor wants to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces

    def read(self, size: int = -1) -> bytes:
        """The next piece, which is never larger than what the decompressor asks for."""
        return next(self._pieces, b"")


def _decompress(reader: zstandard.ZstdDecompressionReader) -> bytes:
    try:
        return reader.read(_READ_BYTES)
    except zstandard.ZstdError as error:
        raise damaged("the compressed stream is damaged") from error


def _pieces(
    store: ObjectStore, manifest: BackupManifest, sealer: Sealer, on_segment: Callable[[Segment], None] | None
) -> Iterator[bytes]:
    """The proven pieces of all segments in order."""
    number, ended = 0, False
    for segment in manifest.segments:
        if ended or segment.first_frame != number:
            raise damaged(f"{segment.name} does not follow on what came before")
        for head, sealed in _frames(store, segment):
            if ended:
                raise damaged(f"{segment.name} goes on after the last frame")
            piece, ended = sealer.open(head, sealed, number)
            number += 1
            yield piece
        if number != segment.first_frame + segment.frames:
            raise damaged(f"{segment.name} holds another number of frames than its manifest says")
        if on_segment is not None:
            on_segment(segment)
    if not ended or number != manifest.frames:
        raise damaged("frames are missing at the end")


def _frames(store: ObjectStore, segment: Segment) -> Iterator[tuple[bytes, bytes]]:
    """Head and sealed part of each frame of a segment; its digest is proven once the last one was taken."""
    digest, size_bytes = sha256(), 0
    with store.read(segment.name) as file:
        while head := _read_fully(file, _HEAD.size):
            length = _sealed_length(head, segment)
            sealed = _read_fully(file, length)
            if len(sealed) != length:
                raise damaged(f"{segment.name} ends in the middle of a frame")
            digest.update(head)
            digest.update(sealed)
            size_bytes += len(head) + length
            yield head, sealed
    if size_bytes != segment.size_bytes or digest.hexdigest() != segment.sha256:
        raise damaged(f"{segment.name} is not what its manifest says")


def _sealed_length(head: bytes, segment: Segment) -> int:
    if len(head) != _HEAD.size:
        raise damaged(f"{segment.name} ends in the middle of a frame")
    magic, length, _, is_last, zero, _ = _HEAD.unpack(head)
    if magic != _MAGIC or not _TAG_BYTES <= length <= PIECE_BYTES + _TAG_BYTES or is_last > 1 or any(zero):
        raise damaged(f"{segment.name} holds something that is no frame")
    return int(length)


def _read_fully(file: IO[bytes], length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length and (part := file.read(length - len(parts))):
        parts += part
    return bytes(parts)


class PlainReader(io.RawIOBase):
    """The plain bytes as a file that a driver can read. Remembers what went wrong, since a driver may hide it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Read from what `unseal` yields."""
        super().__init__()
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self.failure: OpFailed | None = None
        self.bytes_read = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # the stub's type has no name
        """As any file does; raises OpFailed when the backup is damaged."""
        if not self._rest:
            self._rest = memoryview(self._next())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self.bytes_read += count
        return count

    def drain(self) -> None:
        """Read what the driver left, so that all of it is proven."""
        while self.read(_READ_BYTES):
            pass

    def _next(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        try:
            return next(self._chunks, b"")
        except OpFailed as failure:
            self.failure = failure
            raise


def damaged(message: str) -> OpFailed:
    """An error that says that stored bytes are not what was stored."""
    return OpFailed(Code.INTEGRITY_FAILED, message)
