"""A request for a new backup: what it may say, and what it is refused for before anything is recorded."""

from uuid import UUID

import msgspec

from muniment.contract.manifest import Capability
from muniment.domain.backup import BackupRequested
from muniment.domain.drivers import Drivers
from muniment.domain.instance import Instance, check_actionable
from muniment.domain.refused import Refused

__all__ = ["CreateBackup", "create_backup"]


class CreateBackup(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a backup of an instance."""

    name: str
    description: str | None = None
    is_incremental: bool = False
    """Whether a parent was named, or one is to be found."""


def create_backup(
    command: CreateBackup, instance: Instance, *, backup_id: UUID, drivers: Drivers
) -> BackupRequested:
    """Decide a backup of an instance, as the first event of its stream; it belongs to the instance's project.

    Raises:
        Refused: 422, the driver lacks what was asked for, or the instance is busy, not active or not healthy.
    """
    datastore = instance.datastore.datastore
    drivers.require(datastore, Capability.BACKUP_FULL)
    if command.is_incremental:
        raise Refused(
            "not-capable",
            f"the driver of datastore {datastore} lacks the capability backup.incremental",
            status=422,
        )
    check_actionable(instance)
    return BackupRequested(
        originator_id=backup_id,
        originator_version=1,
        project_id=instance.project_id,
        instance_id=instance.id,
        name=command.name,
        description=command.description,
        datastore=instance.datastore,
    )
