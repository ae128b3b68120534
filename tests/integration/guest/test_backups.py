"""Backups and restores over a real directory, with a driver whose bytes are known."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.guest_server import toy_driver, toy_layout
from tests.support.scratch import short_directory

from muniment.clock import ManualClock, SystemClock, seconds
from muniment.contract.backup import MANIFEST_NAME, BackupManifest, StoreRef, encode_manifest, manifest_digest
from muniment.contract.errors import Code, OpFailed
from muniment.contract.ops import CreateBackup, RestoreBackup, Restored
from muniment.secret import Secret
from muniment_guest.backups import take_backup
from muniment_guest.config import Layout
from muniment_guest.host import host_of, volume_of
from muniment_guest.journal_file import FILE_PREFIX
from muniment_guest.restores import Restoration, RestoreNote

KEY = Secret(b"k" * 32)
SIZE = 3_000_000


class QuietJob:
    """See `Job`: notes phases."""

    command_id = UUID(int=1)

    def __init__(self) -> None:
        self.phases: list[str] = []

    def progress(
        self, phase: str, *, done: int = 0, total: int | None = None, unit: str = "", message: str = ""
    ) -> None:
        """See `Job`."""
        if phase not in self.phases:
            self.phases.append(phase)


class World:
    """One server, one store."""

    def __init__(self, home: Path) -> None:
        self.layout: Layout = toy_layout(home)
        self.driver = toy_driver().guest(host_of(self.layout, volume_of(self.layout)))
        self.data = self.driver.host.data.outside
        self.data.mkdir()
        (self.data.parent / "agent").mkdir()
        (self.layout.engine_config / "size").write_text(str(SIZE))
        self.store = home / "store"
        self.job = QuietJob()
        self.note = RestoreNote(self.data.parent / "agent")

    def backup(
        self, method: str = "full", *, lives_s: float = 600.0, backup_id: UUID | None = None
    ) -> BackupManifest:
        until_s = seconds(SystemClock().now()) + lives_s
        wanted = CreateBackup(
            backup_id=backup_id or uuid4(),
            method=method,
            target=StoreRef(kind="file", location=str(self.store), until_s=until_s),
            key_id="key-1",
            wrapped_key=b"wrapped",
        )
        return take_backup(
            self.driver, wanted, KEY, self.job, SystemClock(), instance_id=uuid4(), datastore="toy"
        )

    def restore(
        self,
        manifest: BackupManifest,
        *,
        digest: str | None = None,
        key: Secret = KEY,
        datastore: str = "toy",
    ) -> Restored:
        wanted = RestoreBackup(
            backup_id=manifest.backup_id,
            source=StoreRef(kind="file", location=str(self.store), until_s=0.0),
            manifest_sha256=digest or manifest_digest(manifest),
        )
        restoration = Restoration(
            self.driver, self.data, self.note, ManualClock(), datastore=datastore, engine_runs=False
        )
        return restoration.apply(wanted, key, self.job)

    def rewrite(self, manifest: BackupManifest) -> BackupManifest:
        (self.store / MANIFEST_NAME).write_bytes(encode_manifest(manifest))
        return manifest


@pytest.fixture
def world() -> Iterator[World]:
    with short_directory() as home:
        yield World(home)


def refused(failed: pytest.ExceptionInfo[OpFailed], code: Code) -> None:
    assert failed.value.error.code is code, failed.value.error


def test_backup_comes_back(world: World) -> None:
    """Every byte, and the manifest says what is needed to read it without us."""
    manifest = world.backup()
    restored = world.restore(manifest)
    assert (world.data / "restored").read_bytes() == world.driver.open_backup(
        "full"
    ).__enter__().stream.read()
    assert restored == Restored(plain_bytes=SIZE, server_version="1.0")
    assert (manifest.key_id, manifest.wrapped_key, manifest.tool) == ("key-1", b"wrapped", "toy")
    assert world.job.phases == ["streaming", "verifying", "restoring"]


def test_manifest_is_stored_as_it_is_digested(world: World) -> None:
    """What control records is the digest of the very bytes in the store, also after decoding and encoding."""
    manifest = world.backup()
    stored = (world.store / MANIFEST_NAME).read_bytes()
    assert stored == encode_manifest(manifest)
    assert encode_manifest(msgspec.json.decode(stored, type=BackupManifest)) == stored


def test_failed_tool_leaves_nothing(world: World) -> None:
    """A tool that says at its end that it failed is a failed backup, and its objects are removed."""
    with pytest.raises(OpFailed) as failed:
        world.backup("fails")
    refused(failed, Code.INTERNAL)
    assert not world.store.exists()


def test_backup_that_cannot_be_read_back_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that loses a bit between writing and reading is noticed before the backup counts."""
    rename = Path.rename

    def lossy(self: Path, target: Path) -> Path:
        data = bytearray(self.read_bytes())
        data[len(data) // 2] ^= 1
        self.write_bytes(data)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", lossy)
    with pytest.raises(OpFailed) as failed:
        world.backup()
    refused(failed, Code.INTEGRITY_FAILED)
    assert not world.store.exists()


def test_grant_that_ends_midway_fails_the_backup(world: World) -> None:
    """And nothing is left of it."""
    with pytest.raises(OpFailed) as failed:
        world.backup(lives_s=0.0)
    refused(failed, Code.STORAGE_UNAVAILABLE)
    assert not world.store.exists()


def test_store_without_room_is_told_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is looked for before a byte is written."""
    full(monkeypatch)
    with pytest.raises(OpFailed) as failed:
        world.backup()
    refused(failed, Code.RESOURCE_EXHAUSTED)
    assert not world.store.exists()


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def almost_nothing(path: Path) -> os.statvfs_result:
        return os.statvfs_result([*real(path)[:2], 1000, 10, 10, *real(path)[5:]])

    monkeypatch.setattr(os, "statvfs", almost_nothing)


def test_second_try_replaces_what_the_first_left(world: World) -> None:
    """Objects of a killed try under the same id, whole or half written, do not survive in the new backup."""
    world.store.mkdir()
    (world.store / "segment-000099").write_bytes(b"left")
    (world.store / "segment-000000.draft").write_bytes(b"half")
    manifest = world.backup()
    assert sorted(path.name for path in world.store.iterdir()) == [MANIFEST_NAME, "segment-000000"]
    world.restore(manifest)


def test_volume_without_room_is_told_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that cannot fit is not begun."""
    manifest = world.backup()
    full(monkeypatch)
    with pytest.raises(OpFailed) as failed:
        world.restore(manifest)
    refused(failed, Code.RESOURCE_EXHAUSTED)
    assert list(world.data.iterdir()) == []


def test_restore_never_replaces_a_database(world: World) -> None:
    """A data directory with anything in it that no restore put there is left alone."""
    manifest = world.backup()
    (world.data / "table").write_text("rows")
    with pytest.raises(OpFailed) as failed:
        world.restore(manifest)
    refused(failed, Code.PRECONDITION_FAILED)
    assert [path.name for path in world.data.iterdir()] == ["table"]


def test_interrupted_restore_begins_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a try left that was killed, under whatever command id, is removed first."""
    manifest = world.backup()
    monkeypatch.setattr(world.driver, "restore", killed_midway(world))
    with pytest.raises(KeyboardInterrupt):
        world.restore(manifest)
    monkeypatch.undo()
    (world.data / "half").write_text("left by a kill")
    world.restore(manifest)
    assert [path.name for path in world.data.iterdir()] == ["restored"]


def killed_midway(world: World) -> object:
    def restore(stream: object, *, server_version: str, facts: dict[str, str]) -> None:
        (world.data / "half").write_text("x")
        raise KeyboardInterrupt

    return restore


def test_restore_whose_answer_was_lost_is_done_already(world: World) -> None:
    """Asked again before the engine started, it finds everything in place."""
    manifest = world.backup()
    first = world.restore(manifest)
    inode = (world.data / "restored").stat().st_ino
    assert world.restore(manifest) == first
    assert (world.data / "restored").stat().st_ino == inode


def test_started_database_is_not_a_restore_any_more(world: World) -> None:
    """Once the engine has written, a repeated restore must not touch it."""
    manifest = world.backup()
    world.restore(manifest)
    world.note.remove()
    with pytest.raises(OpFailed) as failed:
        world.restore(manifest)
    refused(failed, Code.PRECONDITION_FAILED)


def test_another_manifest_is_refused(world: World) -> None:
    """Even one that is consistent in itself: only the digest that control recorded counts."""
    recorded = world.backup()
    forged = world.rewrite(msgspec.structs.replace(recorded, server_version="2.0"))
    with pytest.raises(OpFailed) as failed:
        world.restore(forged, digest=manifest_digest(recorded))
    refused(failed, Code.INTEGRITY_FAILED)


def test_damaged_segment_fills_nothing(world: World) -> None:
    """What was unpacked before the damage was met is removed again."""
    manifest = world.backup()
    segment = world.store / manifest.segments[0].name
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    with pytest.raises(OpFailed) as failed:
        world.restore(manifest)
    refused(failed, Code.INTEGRITY_FAILED)
    assert list(world.data.iterdir()) == []


def test_agent_state_inside_a_backup_is_refused(world: World) -> None:
    """A journal in a backup would make a new instance believe in commands it never heard."""
    manifest = world.backup()
    poisoned = world.rewrite(msgspec.structs.replace(manifest, facts={"file": f"{FILE_PREFIX}0"}))
    with pytest.raises(OpFailed) as failed:
        world.restore(poisoned)
    refused(failed, Code.INTEGRITY_FAILED)
    assert list(world.data.iterdir()) == []


def test_other_datastore_format_or_key_are_refused(world: World) -> None:
    """Each with its own reason."""
    manifest = world.backup()
    with pytest.raises(OpFailed) as failed:
        world.restore(manifest, datastore="mysql")
    refused(failed, Code.PRECONDITION_FAILED)
    with pytest.raises(OpFailed) as failed:
        world.restore(manifest, key=Secret(b"x" * 32))
    refused(failed, Code.INTEGRITY_FAILED)
    with pytest.raises(OpFailed) as failed:
        world.restore(world.rewrite(msgspec.structs.replace(manifest, format_version=2)))
    refused(failed, Code.UNSUPPORTED)
