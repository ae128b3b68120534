"""Fills an empty data directory from a backup, and from nothing that is not proven to be that backup."""

import io
import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import msgspec

from muniment.clock import Clock
from muniment.contract.backup import FORMAT_VERSION, MANIFEST_NAME, BackupManifest, decode_manifest
from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Job, Restores
from muniment.contract.ops import RestoreBackup, Restored
from muniment.durable_file import sync_folder
from muniment.secret import Secret
from muniment_guest.files import write_durably
from muniment_guest.journal_file import FILE_PREFIX
from muniment_guest.stores.store import ObjectStore, open_store
from muniment_guest.streams import PlainReader, unseal

__all__ = ["Restoration", "RestoreNote"]

_BUFFER_BYTES: Final = 256 * 1024
_MANIFEST_BYTES_MAX: Final = 16 * 1024 * 1024
_SPARE_BYTES: Final = 16 * 1024 * 1024


class RestoreState(StrEnum):
    """How far a restore got."""

    FILLING = "filling"
    COMPLETE = "complete"


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    state: RestoreState
    backup_id: UUID
    manifest_sha256: str
    plain_bytes: int = 0
    server_version: str = ""


class RestoreNote:
    """A file beside the data directory: whose bytes are in there, and whether all of them are.

    Without it a repeated restore could not tell what an earlier try left from somebody's database. It goes when the
    engine starts on the data.
    """

    def __init__(self, agent_directory: Path) -> None:
        """The note of the volume whose `agent` directory this is."""
        self._path = agent_directory / "restore.json"

    def read(self) -> _Note | None:
        """The note, if there is one."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Note)
        except FileNotFoundError:
            return None

    def write(self, note: _Note) -> None:
        """Durably."""
        write_durably(self._path, msgspec.json.encode(note))

    def remove(self) -> None:
        """The data directory is a database now; no restore may touch it any more."""
        if self._path.exists():
            self._path.unlink()
            sync_folder(self._path.parent)


class Restoration:
    """Restores into one volume."""

    def __init__(
        self,
        driver: Restores,
        data: Path,
        note: RestoreNote,
        clock: Clock,
        *,
        datastore: str,
        engine_runs: bool,
    ) -> None:
        """`data` is the engine's data directory."""
        self._driver = driver
        self._data = data
        self._note = note
        self._clock = clock
        self._datastore = datastore
        self._engine_runs = engine_runs

    def apply(self, wanted: RestoreBackup, data_key: Secret, job: Job) -> Restored:
        """Restore; done again after an interruption, it begins anew, or finds that all was done.

        Raises:
            OpFailed: `precondition_failed` when the data directory holds something else; `integrity_failed`.
        """
        store = open_store(wanted.source, self._clock)
        manifest = _fetch_manifest(store, wanted)
        if (done := self._done_before(wanted)) is not None:
            return done
        self._check(manifest)
        self._begin(wanted)
        try:
            self._fill(store, manifest, data_key, job)
            refuse_agent_state(self._data)
        except BaseException:
            self._driver.wipe()
            raise
        self._note.write(
            _Note(
                state=RestoreState.COMPLETE,
                backup_id=wanted.backup_id,
                manifest_sha256=wanted.manifest_sha256,
                plain_bytes=manifest.plain_bytes,
                server_version=manifest.server_version,
            )
        )
        return Restored(plain_bytes=manifest.plain_bytes, server_version=manifest.server_version)

    def _done_before(self, wanted: RestoreBackup) -> Restored | None:
        note = self._note.read()
        if note is None or note.state is not RestoreState.COMPLETE:
            return None
        if (note.backup_id, note.manifest_sha256) != (wanted.backup_id, wanted.manifest_sha256):
            raise OpFailed(Code.PRECONDITION_FAILED, f"backup {note.backup_id} was restored here already")
        return Restored(plain_bytes=note.plain_bytes, server_version=note.server_version)

    def _check(self, manifest: BackupManifest) -> None:
        if manifest.datastore != self._datastore:
            message = f"a backup of {manifest.datastore} cannot be restored into {self._datastore}"
            raise OpFailed(Code.PRECONDITION_FAILED, message)
        if self._engine_runs:
            raise OpFailed(
                Code.PRECONDITION_FAILED, "the engine is running; a restore needs an empty data directory"
            )

    def _begin(self, wanted: RestoreBackup) -> None:
        """Have an empty directory, and say in the note that from now on its content is ours to remove."""
        note = self._note.read()
        if note is not None:
            self._driver.wipe()
        elif os.listdir(self._data):
            message = "the data directory is not empty; a restore never replaces a database"
            raise OpFailed(Code.PRECONDITION_FAILED, message)
        filling = _Note(
            state=RestoreState.FILLING, backup_id=wanted.backup_id, manifest_sha256=wanted.manifest_sha256
        )
        self._note.write(filling)

    def _fill(self, store: ObjectStore, manifest: BackupManifest, data_key: Secret, job: Job) -> None:
        stat = os.statvfs(self._data)
        free = stat.f_bavail * stat.f_frsize
        if free < manifest.plain_bytes + _SPARE_BYTES:
            message = f"the backup takes {manifest.plain_bytes} bytes, and the volume has {free} bytes left"
            raise OpFailed(Code.RESOURCE_EXHAUSTED, message)
        reader = PlainReader(_watched(unseal(store, manifest, data_key), manifest.plain_bytes, job))
        stream: IO[bytes] = io.BufferedReader(reader, _BUFFER_BYTES)
        try:
            self._driver.restore(stream, server_version=manifest.server_version, facts=manifest.facts)
            reader.drain()
        except OpFailed as failed:
            # What the driver's tool says of a stream that broke off is not the reason; the reader knows it.
            raise (reader.failure or failed) from failed


def refuse_agent_state(data: Path) -> None:
    """A backup holds the engine's data alone: files of an agent in it mean that it was made or altered by something else.

    Raises:
        OpFailed: `integrity_failed`.
    """
    for folder, _, files in os.walk(data):
        for name in files:
            if name.startswith(FILE_PREFIX):
                place = Path(folder, name).relative_to(data)
                raise OpFailed(
                    Code.INTEGRITY_FAILED, f"the backup holds state of an agent ({place}); it is not used"
                )


def _fetch_manifest(store: ObjectStore, wanted: RestoreBackup) -> BackupManifest:
    """The manifest, proven by the digest that control recorded; only then is anything in it believed."""
    with store.read(MANIFEST_NAME) as file:
        data = file.read(_MANIFEST_BYTES_MAX)
    if sha256(data).hexdigest() != wanted.manifest_sha256:
        raise OpFailed(Code.INTEGRITY_FAILED, "the backup's manifest is not the one that was recorded")
    try:
        manifest = decode_manifest(data)
    except msgspec.MsgspecError as error:
        raise OpFailed(Code.UNSUPPORTED, f"the backup's manifest cannot be read: {error}") from error
    if manifest.format_version != FORMAT_VERSION:
        message = f"the backup has format {manifest.format_version}; this agent reads {FORMAT_VERSION}"
        raise OpFailed(Code.UNSUPPORTED, message)
    if manifest.backup_id != wanted.backup_id:
        raise OpFailed(Code.INTEGRITY_FAILED, f"the manifest is that of backup {manifest.backup_id}")
    return manifest


def _watched(chunks: Iterable[bytes], total: int, job: Job) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        job.progress("restoring", done=done, total=total, unit="bytes")
        yield chunk
