"""A request for a new instance: what it may say, and what it is refused for before anything is recorded."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from muniment.contract.manifest import Capability
from muniment.domain.accounts import WantedDatabase, WantedUser, accepted_databases, accepted_users
from muniment.domain.backup import Backup, BackupStatus, check_restorable
from muniment.domain.datastore import Datastore, DatastoreVersion, WantedVersion, choose_version
from muniment.domain.drivers import Drivers
from muniment.domain.instance import Access, InstanceRequested, VersionFacts
from muniment.domain.offer import Offer, WantedNic
from muniment.domain.refused import NotFound, Refused
from muniment.secret import Secret

__all__ = ["CreateInstance", "create_instance"]


class CreateInstance(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for an instance. None, or nothing in a list, is what the tenant did not say."""

    name: str
    flavor_id: str | None = None
    volume_size_gib: int | None = None
    volume_type: str | None = None
    version: WantedVersion = WantedVersion()
    databases: tuple[WantedDatabase, ...] = ()
    users: tuple[WantedUser, ...] = ()
    passwords: Mapping[UUID, Secret] = {}
    """The users', by `secret_ref`."""
    backup_id: UUID | None = None
    """The backup to restore."""
    nic: WantedNic | None = None
    access: Access = Access()
    region: str | None = None
    availability_zone: str | None = None
    configuration: str | None = None
    replica_of: str | None = None
    replica_count: int | None = None
    has_modules: bool = False


def create_instance(
    command: CreateInstance,
    *,
    instance_id: UUID,
    project_id: str,
    offer: Offer,
    datastores: Sequence[Datastore],
    backup: Backup | None,
) -> InstanceRequested:
    """Decide a new instance of a project, as the first event of its stream; limits are for the save to keep.

    `datastores` are those that are registered; `backup` is what there is under the command's `backup_id`, whosever it is:
    one of another project is not found, for administrators neither, since a project's data does not wander into another.

    Raises:
        Refused: by the rules of `trove-api.md` 3.2, in the order of this function.
    """
    _refuse_what_is_not_there(command, offer)
    size_gib = offer.volume_size_gib(command.volume_size_gib, command.volume_type)
    datastore, version = choose_version(command.version, datastores, offer.drivers.datastores())
    if command.backup_id is not None:
        own = _own_backup(command.backup_id, project_id, backup)
        _check_backup(own, offer.drivers, datastore, version, size_gib)
    databases, users = _databases_and_users(command, offer.drivers, datastore.name)
    return InstanceRequested(
        originator_id=instance_id,
        originator_version=1,
        project_id=project_id,
        name=command.name,
        flavor=offer.flavor(command.flavor_id),
        volume_size_gib=size_gib,
        datastore=_facts_of(datastore, version),
        databases=databases,
        users=users,
        backup_id=command.backup_id,
        access=offer.access(command.access),
        region=offer.region,
        availability_zone=command.availability_zone,
        network_id=offer.network_id(command.nic),
    )


def _refuse_what_is_not_there(command: CreateInstance, offer: Offer) -> None:
    if command.replica_of is not None:
        raise Refused("no-replication", "the datastore's driver lacks the capability replication", status=422)
    if (command.replica_count or 1) > 1:
        raise Refused("bad-request", "replica_count needs replica_of", status=400)
    if command.configuration is not None:
        raise NotFound("configuration", command.configuration)
    if command.has_modules:
        raise Refused("no-modules", "there are no modules here; leave them out", status=400)
    offer.check_region(command.region)


def _own_backup(wanted: UUID, project_id: str, found: Backup | None) -> Backup:
    if found is None or found.project_id != project_id or found.status is BackupStatus.DELETED:
        raise NotFound("backup", wanted)
    return found


def _check_backup(
    backup: Backup, drivers: Drivers, datastore: Datastore, version: DatastoreVersion, size_gib: int
) -> None:
    drivers.require(datastore.name, Capability.RESTORE)
    check_restorable(backup, volume_size_gib=size_gib, datastore=datastore.name)
    assert backup.completed is not None, "only complete backups are restorable"
    control = drivers.control(datastore.name)
    if not control.backup_fits(backup_version=backup.completed.server_version, target_version=version.number):
        raise Refused(
            "other-version",
            f"backup {backup.id} is of {datastore.name} {backup.completed.server_version}, which {version.number} cannot "
            "restore",
            status=400,
        )


def _databases_and_users(
    command: CreateInstance, drivers: Drivers, datastore: str
) -> tuple[tuple[WantedDatabase, ...], tuple[WantedUser, ...]]:
    if command.databases:
        drivers.require(datastore, Capability.DATABASES)
    if command.users:
        drivers.require(datastore, Capability.USERS)
    control = drivers.control(datastore)
    databases = accepted_databases(control, command.databases)
    users = accepted_users(control, command.users, command.passwords)
    present = {database.name for database in databases}
    for user in users:
        for name in user.databases:
            if name not in present:
                raise Refused(
                    "unknown-database",
                    f"database {name!r} of user {user.name!r} is not in this request",
                    status=400,
                )
    return databases, users


def _facts_of(datastore: Datastore, version: DatastoreVersion) -> VersionFacts:
    return VersionFacts(
        datastore=datastore.name,
        version_id=version.id,
        name=version.name,
        number=version.number,
        driver=version.driver,
        image=version.image,
        image_digest=version.image_digest,
    )
