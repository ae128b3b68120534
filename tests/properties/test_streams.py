"""The stored form of a backup: what comes back is what went in, and nothing else is ever taken for it."""

import hashlib
import io
from functools import lru_cache
from uuid import UUID

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.guest_ports import MemoryStore

from muniment.contract.backup import BackupManifest
from muniment.contract.errors import Code, OpFailed
from muniment.secret import Secret
from muniment_guest.streams import PIECE_BYTES, PlainReader, SealedWriter, Sealer, unseal

KEY = Secret(b"k" * 32)
BACKUP = UUID(int=5)


def noise(size: int) -> bytes:
    """Bytes that do not compress, the same each time."""
    return hashlib.shake_128(b"noise").digest(size)


def seal(
    plain: bytes, *, chunk: int = 65536, segment_bytes: int = 1 << 30, backup: UUID = BACKUP
) -> tuple[MemoryStore, BackupManifest]:
    store = MemoryStore()
    writer = SealedWriter(store, KEY, backup, segment_bytes=segment_bytes)
    for at in range(0, len(plain), chunk):
        writer.write(plain[at : at + chunk])
    writer.finish()
    manifest = BackupManifest(
        backup_id=backup,
        instance_id=UUID(int=1),
        datastore="toy",
        server_version="1",
        method="full",
        tool="toy",
        key_id="k",
        wrapped_key=b"",
        segments=tuple(writer.segments),
        frames=writer.frames,
        plain_bytes=writer.plain_bytes,
        plain_sha256=writer.plain_sha256,
        stored_bytes=writer.stored_bytes,
    )
    return store, manifest


def read(store: MemoryStore, manifest: BackupManifest, key: Secret = KEY) -> bytes:
    return b"".join(unseal(store, manifest, key))


@lru_cache
def sample() -> tuple[dict[str, bytes], BackupManifest]:
    """A backup of three and a half frames in two segments."""
    store, manifest = seal(noise(3 * PIECE_BYTES + 1000), segment_bytes=2 * PIECE_BYTES)
    return store.objects, manifest


def copy() -> tuple[MemoryStore, BackupManifest]:
    store = MemoryStore()
    objects, manifest = sample()
    store.objects.update(objects)
    return store, manifest


def refused(store: MemoryStore, manifest: BackupManifest, key: Secret = KEY) -> None:
    with pytest.raises(OpFailed) as failed:
        read(store, manifest, key)
    assert failed.value.error.code in (Code.INTEGRITY_FAILED, Code.NOT_FOUND)


sizes = st.one_of(
    st.integers(0, 3000),
    st.sampled_from([PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 3 * PIECE_BYTES + 7]),
)


@settings(max_examples=40, deadline=None)
@given(
    size=sizes,
    compresses=st.booleans(),
    chunk=st.integers(1000, 3 * PIECE_BYTES),
    segment_bytes=st.sampled_from([1, PIECE_BYTES, 2 * PIECE_BYTES + 5, 1 << 30]),
)
def test_round_trip(size: int, compresses: bool, chunk: int, segment_bytes: int) -> None:
    """Whatever the size, the way it arrives and the segments it is cut into, it comes back as it was."""
    plain = bytes(size) if compresses else noise(size)
    store, manifest = seal(plain, chunk=chunk, segment_bytes=segment_bytes)
    assert read(store, manifest) == plain
    assert manifest.stored_bytes == sum(len(data) for data in store.objects.values())
    assert sum(segment.frames for segment in manifest.segments) == manifest.frames


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), number=st.integers(0, 1))
def test_every_altered_bit_is_noticed(place: float, bit: int, number: int) -> None:
    """One flipped bit anywhere in the stored bytes, heads included, and the backup is refused."""
    store, manifest = copy()
    name = manifest.segments[number].name
    data = bytearray(store.objects[name])
    data[int(place * len(data))] ^= 1 << bit
    store.objects[name] = bytes(data)
    refused(store, manifest)


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), number=st.integers(0, 1))
def test_every_truncation_is_noticed(place: float, number: int) -> None:
    """A segment that was cut short anywhere is refused."""
    store, manifest = copy()
    name = manifest.segments[number].name
    store.objects[name] = store.objects[name][: int(place * len(store.objects[name]))]
    refused(store, manifest)


def test_whoever_can_write_the_manifest_still_cannot_forge_content() -> None:
    """With digests that fit: frames cut off, swapped, repeated or of another backup are refused by what seals them."""
    _, manifest = sample()
    for alter in (drop_last_segment, swap_segments, repeat_segment, cut_last_frame):
        refused(*alter(*copy()))
    store, foreign = seal(noise(100), backup=UUID(int=6))
    refused(store, msgspec.structs.replace(foreign, backup_id=manifest.backup_id))


def resigned(
    store: MemoryStore, manifest: BackupManifest, names: list[str]
) -> tuple[MemoryStore, BackupManifest]:
    """A manifest whose digests and numbers fit these objects, in this order."""
    segments, first = [], 0
    for name in names:
        old = next(segment for segment in manifest.segments if segment.name == name)
        data = store.objects[name]
        frames = old.frames if len(data) == old.size_bytes else old.frames - 1
        segments.append(
            msgspec.structs.replace(
                old,
                size_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                first_frame=first,
                frames=frames,
            )
        )
        first += frames
    return store, msgspec.structs.replace(manifest, segments=tuple(segments), frames=first)


def drop_last_segment(store: MemoryStore, manifest: BackupManifest) -> tuple[MemoryStore, BackupManifest]:
    return resigned(store, manifest, [manifest.segments[0].name])


def swap_segments(store: MemoryStore, manifest: BackupManifest) -> tuple[MemoryStore, BackupManifest]:
    return resigned(store, manifest, [segment.name for segment in reversed(manifest.segments)])


def repeat_segment(store: MemoryStore, manifest: BackupManifest) -> tuple[MemoryStore, BackupManifest]:
    return resigned(
        store, manifest, [manifest.segments[0].name, *(segment.name for segment in manifest.segments)]
    )


def cut_last_frame(store: MemoryStore, manifest: BackupManifest) -> tuple[MemoryStore, BackupManifest]:
    name = manifest.segments[0].name
    store.objects[name] = store.objects[name][: -(32 + PIECE_BYTES + 16)]
    return resigned(store, manifest, [name])


def test_last_segment_is_proven_like_any_other() -> None:
    """A digest or size in the manifest that is not the last segment's is noticed, though its content is all there."""
    store, manifest = copy()
    last = manifest.segments[-1]
    for false in ({"sha256": "0" * 64}, {"size_bytes": last.size_bytes + 1}, {"frames": last.frames + 1}):
        segments = (*manifest.segments[:-1], msgspec.structs.replace(last, **false))
        refused(store, msgspec.structs.replace(manifest, segments=segments))


def test_bytes_after_the_last_frame_are_noticed() -> None:
    """Another frame, whatever the manifest says, and bytes that are none."""
    for tail in (sealed(b"more", 4, is_last=True), b"more", bytes(1)):
        store, manifest = copy()
        name = manifest.segments[-1].name
        store.objects[name] += tail
        last = msgspec.structs.replace(
            manifest.segments[-1],
            size_bytes=len(store.objects[name]),
            sha256=hashlib.sha256(store.objects[name]).hexdigest(),
        )
        refused(store, msgspec.structs.replace(manifest, segments=(*manifest.segments[:-1], last)))


@pytest.mark.parametrize(
    "tail", [[b"more"], [b"", b"more"], [b"", b"", b"more"], [b"", b"", b""]], ids=["more", "1", "2", "empty"]
)
def test_pieces_after_the_content_has_ended_are_noticed(tail: list[bytes]) -> None:
    """Not even who has the key can hide frames behind the end of the compressed stream, nor by an empty piece before."""
    content = zstandard.ZstdCompressor().compress(b"content")
    refused(*of_pieces(b"content", [content, *tail]))
    assert read(*of_pieces(b"content", [content])) == b"content"


@pytest.mark.parametrize(
    "tail", [b"more", zstandard.ZstdCompressor().compress(b"more")], ids=["bytes", "stream"]
)
def test_bytes_after_the_content_in_the_same_piece_are_noticed(tail: bytes) -> None:
    """A piece that holds more than the rest of the compressed stream is refused."""
    refused(*of_pieces(b"content", [zstandard.ZstdCompressor().compress(b"content") + tail]))


def sealed(piece: bytes, number: int, *, is_last: bool) -> bytes:
    return Sealer(KEY, BACKUP).seal(piece, number, is_last=is_last)


def of_pieces(plain: bytes, pieces: list[bytes]) -> tuple[MemoryStore, BackupManifest]:
    """A backup of one segment with just these pieces, whose manifest is right and says that it holds `plain`."""
    store, manifest = seal(plain)
    last = len(pieces) - 1
    frames = [sealed(piece, number, is_last=number == last) for number, piece in enumerate(pieces)]
    data = b"".join(frames)
    segment = msgspec.structs.replace(
        manifest.segments[0],
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        frames=len(frames),
    )
    store.objects[segment.name] = data
    return store, msgspec.structs.replace(
        manifest, segments=(segment,), frames=len(frames), stored_bytes=len(data)
    )


def test_another_key_opens_nothing() -> None:
    """The data key is what it takes."""
    refused(*copy(), Secret(b"x" * 32))


def test_same_plain_bytes_never_seal_alike() -> None:
    """A backup that is tried again under the same key uses fresh nonces."""
    first, _ = seal(b"same")
    second, _ = seal(b"same")
    assert first.objects != second.objects


def test_a_bomb_stays_small_in_memory() -> None:
    """A hundred megabytes of zeros in one frame come out in pieces of bounded size."""
    plain = bytes(100 * 1024 * 1024)
    store, manifest = seal(plain, chunk=1 << 24)
    assert manifest.frames == 1
    assert max(len(chunk) for chunk in unseal(store, manifest, KEY)) <= 256 * 1024


def test_reader_tells_what_a_driver_hid() -> None:
    """A driver that swallows the stream's error does not make the backup whole."""
    store, manifest = copy()
    name = manifest.segments[1].name
    store.objects[name] = store.objects[name][:-1] + b"\0"
    reader = PlainReader(unseal(store, manifest, KEY))
    with pytest.raises(OpFailed):
        io.BufferedReader(reader).read()
    assert reader.failure is not None
    with pytest.raises(OpFailed):
        reader.drain()


def test_key_of_another_length_is_refused() -> None:
    """A data key has 32 bytes."""
    with pytest.raises(OpFailed) as failed:
        SealedWriter(MemoryStore(), Secret(b"short"), BACKUP)
    assert failed.value.error.code is Code.INVALID_ARGUMENT
