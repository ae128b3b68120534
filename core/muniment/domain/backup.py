"""A backup: from the request to the manifest, to the last object that is confirmed gone. It survives its instance."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from muniment.domain.event import Aggregate, Event, Personal, topic
from muniment.domain.history import IllegalHistory
from muniment.domain.instance import VersionFacts
from muniment.domain.occupancy import Occupant, Occupied, Released, entered, left
from muniment.domain.refused import Refused

__all__ = [
    "BACKUP", "Backup", "BackupCompleted", "BackupDeleted", "BackupDeletionRequested", "BackupFailed",
    "BackupRequested", "BackupStatus", "UploadGranted", "check_deletable", "check_restorable",
]  # fmt: skip


@topic("backup.requested.1")
class BackupRequested(Event, frozen=True, kw_only=True):
    """A tenant asked for a backup of an instance."""

    instance_id: UUID
    name: Personal
    description: Personal | None = None
    datastore: VersionFacts
    method: str = "full"
    parent_id: UUID | None = None


@topic("backup.upload_granted.1")
class UploadGranted(Event, frozen=True, kw_only=True):
    """The guest may write objects until then; a purge counts only when begun after it."""

    until_s: float


@topic("backup.completed.1")
class BackupCompleted(Event, frozen=True, kw_only=True):
    """Everything is stored, was read back and agreed with the manifest."""

    location: str
    plain_bytes: int
    stored_bytes: int
    segments: int
    manifest_sha256: str
    server_version: str
    key_id: str
    facts: dict[str, str] = {}


@topic("backup.failed.1")
class BackupFailed(Event, frozen=True, kw_only=True):
    """There is no backup; the message says why."""

    message: Personal
    details: Personal = ""
    """For administrators."""
    is_unsettled: bool = False
    """Ended by a take-over or without an answer: objects may exist, and a guest may write more until the grant ends. So it
    stays counted until it is deleted."""


@topic("backup.deletion_requested.1")
class BackupDeletionRequested(Event, frozen=True, kw_only=True):
    """The delete operation has taken over."""


@topic("backup.deleted.1")
class BackupDeleted(Event, frozen=True, kw_only=True):
    """Every object is confirmed gone and the data key is destroyed."""


class BackupStatus(StrEnum):
    """How a backup stands. Trove has these words but the last two: a backup that is being deleted shows what it was."""

    NEW = "NEW"
    BUILDING = "BUILDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    DELETING = "DELETING"
    DELETED = "DELETED"


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup as its history tells it."""

    id: UUID
    version: int
    project_id: str
    instance_id: UUID
    name: str
    description: str | None
    datastore: VersionFacts
    method: str
    parent_id: UUID | None
    created_at: datetime | None
    updated_at: datetime | None
    status: BackupStatus = BackupStatus.NEW
    occupants: tuple[Occupant, ...] = ()
    granted_until_s: float = 0.0
    is_unsettled: bool = False
    """Whether a guest may still write objects, until `granted_until_s` or its server's end."""
    completed: BackupCompleted | None = None
    message: str | None = None


def _changes(s: Backup, e: Event) -> dict[str, object]:
    match e:
        case Occupied():
            return {"occupants": entered(s.occupants, e)}
        case Released():
            return {"occupants": left(s.occupants, e)}
        case UploadGranted():
            granted = max(s.granted_until_s, e.until_s)
            return {
                "granted_until_s": granted,
                "is_unsettled": True,
                "status": BackupStatus.BUILDING if s.status is BackupStatus.NEW else s.status,
            }
        case BackupCompleted():
            return {"status": BackupStatus.COMPLETED, "completed": e, "is_unsettled": False}
        case BackupFailed():
            return {"status": BackupStatus.FAILED, "message": e.message, "is_unsettled": e.is_unsettled}
        case BackupDeletionRequested():
            return {"status": BackupStatus.DELETING}
        case BackupDeleted():
            return {"status": BackupStatus.DELETED}
    raise IllegalHistory(f"{type(e).__name__} does not belong into a backup's stream")


def apply(state: Backup | None, event: Event) -> Backup:
    """One event more; raises IllegalHistory for what no decider produces."""
    if state is None:
        if not isinstance(event, BackupRequested) or event.originator_version != 1:
            raise IllegalHistory(f"a backup's stream begins with BackupRequested, not {type(event).__name__}")
        return Backup(
            id=event.originator_id,
            version=event.originator_version,
            project_id=event.project_id,
            instance_id=event.instance_id,
            name=event.name,
            description=event.description,
            datastore=event.datastore,
            method=event.method,
            parent_id=event.parent_id,
            created_at=event.at,
            updated_at=event.at,
        )
    if event.originator_version != state.version + 1 or event.originator_id != state.id:
        raise IllegalHistory(f"version {event.originator_version} does not follow {state.version}")
    if state.status is BackupStatus.DELETED:
        raise IllegalHistory(f"{type(event).__name__} after the end of backup {state.id}")
    quiet = isinstance(event, (Occupied, Released))
    return msgspec.structs.replace(
        state,
        version=event.originator_version,
        updated_at=state.updated_at if quiet else (event.at or state.updated_at),
        **_changes(state, event),
    )


BACKUP: Aggregate[Backup] = Aggregate("backup", apply)


def check_restorable(backup: Backup, *, volume_size_gib: int, datastore: str) -> None:
    """Refuse a restore: 409 when the backup is not complete, 403 when it does not fit, 400 for another datastore."""
    if backup.status is not BackupStatus.COMPLETED or backup.completed is None:
        raise Refused(
            "backup-not-complete", f"backup {backup.id} is {backup.status}, not COMPLETED", status=409
        )
    if backup.completed.plain_bytes > volume_size_gib * 2**30:
        needed_gib = -(-backup.completed.plain_bytes // 2**30)
        raise Refused(
            "backup-too-large",
            f"backup {backup.id} needs a volume of at least {needed_gib} GiB, not {volume_size_gib}",
            status=403,
        )
    if backup.datastore.datastore != datastore:
        raise Refused(
            "other-datastore",
            f"backup {backup.id} is of {backup.datastore.datastore}, not {datastore}",
            status=400,
        )


def check_deletable(backup: Backup) -> None:
    """Refuse (422) the deletion of a backup that is being written or that a restore is reading."""
    for occupant in backup.occupants:
        if occupant.kind in ("create_backup", "create_instance"):
            raise Refused(
                "backup-busy",
                f"backup {backup.id} is in use by {occupant.kind.replace('_', ' ')}; wait for operation {occupant.operation_id}",
            )
