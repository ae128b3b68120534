"""Takes a backup: the engine's tool on one end, sealed objects in a store on the other, and the proof that they open."""

from typing import Final
from uuid import UUID

import structlog

from muniment.clock import Clock, seconds
from muniment.contract.backup import MANIFEST_NAME, BackupManifest, encode_manifest
from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import BackupFacts, Backups, BackupSource, Job
from muniment.contract.ops import CreateBackup
from muniment.secret import Secret
from muniment_guest.stores.store import ObjectStore, open_store
from muniment_guest.streams import SealedWriter, segment_bytes_for, unseal

__all__ = ["abandon_backup", "take_backup"]

log = structlog.get_logger()

_READ_BYTES: Final = 256 * 1024
_SPARE_BYTES: Final = 64 * 1024 * 1024
"""Room in the store beyond the estimate: frames' heads, the manifest, what the engine writes meanwhile."""


def take_backup(
    driver: Backups,
    wanted: CreateBackup,
    data_key: Secret,
    job: Job,
    clock: Clock,
    *,
    instance_id: UUID,
    datastore: str,
) -> BackupManifest:
    """Stream a backup into its store, read it back, and write its manifest last.

    Whatever fails, the objects that were written are removed again. So are those of an earlier try, first.

    Raises:
        OpFailed: the tool failed, the store is full or gone, the grant ended, what was read back differs.
    """
    store = open_store(wanted.target, clock)
    store.clear()
    started_s = seconds(clock.now())
    try:
        with driver.open_backup(wanted.method) as source:
            _check_room(store, source.estimated_bytes)
            writer = SealedWriter(
                store, data_key, wanted.backup_id, segment_bytes=segment_bytes_for(source.estimated_bytes)
            )
            facts = _pump(source, writer, job)
            tool = source.tool
        manifest = _manifest(
            wanted, writer, facts, tool, instance_id, datastore, (started_s, seconds(clock.now()))
        )
        _prove(store, manifest, data_key, job)
        with store.write(MANIFEST_NAME) as file:
            file.write(encode_manifest(manifest))
        _prove_manifest(store, manifest)
    except BaseException:
        # Not only failures: a job that is told to stop leaves nothing behind either.
        _remove(store)
        raise
    return manifest


def abandon_backup(wanted: CreateBackup, clock: Clock) -> None:
    """Remove what a job left that was killed before it could.

    Raises:
        OpFailed: the store cannot be reached.
    """
    open_store(wanted.target, clock).clear()


def _pump(source: BackupSource, writer: SealedWriter, job: Job) -> BackupFacts:
    """All bytes of the tool; the last frame is written only when the tool said that it succeeded."""
    try:
        while chunk := source.stream.read(_READ_BYTES):
            writer.write(chunk)
            job.progress("streaming", done=writer.plain_bytes, total=source.estimated_bytes, unit="bytes")
        facts = source.finish()
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return facts


def _check_room(store: ObjectStore, estimated_bytes: int) -> None:
    """Compression is not counted on: what is in a database may be compressed or encrypted already."""
    free = store.free_bytes()
    if free is not None and free < estimated_bytes + _SPARE_BYTES:
        message = (
            f"the backup may take {estimated_bytes + _SPARE_BYTES} bytes, and its store has {free} bytes left"
        )
        raise OpFailed(Code.RESOURCE_EXHAUSTED, message)


def _manifest(
    wanted: CreateBackup,
    writer: SealedWriter,
    facts: BackupFacts,
    tool: str,
    instance_id: UUID,
    datastore: str,
    times: tuple[float, float],
) -> BackupManifest:
    return BackupManifest(
        backup_id=wanted.backup_id,
        instance_id=instance_id,
        datastore=datastore,
        server_version=facts.server_version,
        method=wanted.method,
        tool=tool,
        key_id=wanted.key_id,
        wrapped_key=wanted.wrapped_key,
        segments=tuple(writer.segments),
        frames=writer.frames,
        plain_bytes=writer.plain_bytes,
        plain_sha256=writer.plain_sha256,
        stored_bytes=writer.stored_bytes,
        start_position=facts.start_position,
        end_position=facts.end_position,
        facts=dict(facts.facts),
        started_at=times[0],
        finished_at=times[1],
    )


def _prove(store: ObjectStore, manifest: BackupManifest, data_key: Secret, job: Job) -> None:
    """Read everything back from the store, open and decompress it: a backup is only what can be restored."""
    read_bytes = 0
    for chunk in unseal(store, manifest, data_key):
        read_bytes += len(chunk)
        job.progress("verifying", done=read_bytes, total=manifest.plain_bytes, unit="bytes")


def _prove_manifest(store: ObjectStore, manifest: BackupManifest) -> None:
    with store.read(MANIFEST_NAME) as file:
        if file.read() != encode_manifest(manifest):
            raise OpFailed(
                Code.INTEGRITY_FAILED, "the manifest that was read back differs from the one written"
            )


def _remove(store: ObjectStore) -> None:
    try:
        store.clear()
    except OpFailed as failed:
        log.warning("objects of a failed backup are left", reason=failed.error.message)
