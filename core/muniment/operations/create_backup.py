"""Creating a backup: the guest streams it into the store, reads it back, and only then it counts."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from muniment.contract.backup import BackupManifest, manifest_digest
from muniment.contract.ops import BACKUP_CREATE, CreateBackup
from muniment.domain.arguments import BackupArguments
from muniment.domain.backup import BackupCompleted, BackupFailed, UploadGranted
from muniment.domain.event import Event
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.guest_steps import Job
from muniment.operations.object_steps import RemoveObjects
from muniment.operations.scene import Scene
from muniment.operations.steps import Definition, Ending, Endings, Failure, Step
from muniment.store.writes import CommitReservation, ReleaseReservation

__all__ = ["CREATE_BACKUP"]


def _asked(scene: Scene) -> BackupArguments:
    assert isinstance(scene.arguments, BackupArguments)
    return scene.arguments


def _granted_until_s(scene: Scene) -> float:
    return scene.now_s + scene.knowledge.timing.upload_s


def _grant(scene: Scene) -> Sequence[Event]:
    return [
        UploadGranted(originator_id=scene.backup.id, originator_version=0, until_s=_granted_until_s(scene))
    ]


def _upload(scene: Scene) -> CreateBackup:
    backup = scene.backup
    target = scene.knowledge.objects.reference(backup.project_id, backup.id, until_s=_granted_until_s(scene))
    return CreateBackup(
        backup_id=backup.id,
        method=backup.method,
        target=target,
        key_id=_asked(scene).key_id,
        wrapped_key=scene.wrapped_key,
    )


def _data_key(scene: Scene) -> Mapping[str, UUID]:
    return {"data_key": _asked(scene).secret_ref}


def _completed(scene: Scene, manifest: BackupManifest) -> Sequence[Event]:
    backup = scene.backup
    target = scene.knowledge.objects.reference(backup.project_id, backup.id, until_s=scene.now_s)
    return [
        BackupCompleted(
            originator_id=backup.id,
            originator_version=0,
            location=target.location,
            plain_bytes=manifest.plain_bytes,
            stored_bytes=manifest.stored_bytes,
            segments=len(manifest.segments),
            manifest_sha256=manifest_digest(manifest),
            server_version=manifest.server_version,
            key_id=manifest.key_id,
            facts=manifest.facts,
        )
    ]


def _counted(scene: Scene) -> Ending:
    return Ending(writes=[CommitReservation(scene.operation_id)])


def _failed(scene: Scene, failure: Failure) -> Ending:
    """Released only if nothing is left; what may exist stays counted until the backup is deleted."""
    failed = BackupFailed(
        originator_id=scene.backup.id,
        originator_version=0,
        message=failure.message,
        details=failure.details,
        is_unsettled=failure.is_unknown,
    )
    return Ending([failed], [] if failure.is_unknown else [ReleaseReservation(scene.operation_id)])


def _taken_over(scene: Scene) -> Ending:
    failed = BackupFailed(
        originator_id=scene.backup.id,
        originator_version=0,
        message="could not create the backup: its instance was deleted or reset meanwhile",
        is_unsettled=True,
    )
    return Ending([failed])


CREATE_BACKUP: Final = Definition(
    kind="create_backup.1",
    wants="create the backup",
    occupies={SubjectKind.INSTANCE: Hold.SHARED, SubjectKind.BACKUP: Hold.EXCLUSIVE},
    steps=(
        Step(
            "upload",
            Job(BACKUP_CREATE, _upload, secrets=_data_key, facts=_completed, grants=_grant),
            undo=RemoveObjects(),
            complaint="the data could not be stored",
        ),
    ),
    ends=Endings(succeeded=_counted, failed=_failed, taken_over=_taken_over),
)
