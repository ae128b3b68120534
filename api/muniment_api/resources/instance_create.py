"""`POST /instances`: what a create request may say, and what it is refused for before anything is recorded."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from muniment.cloud.cloud import ALLOWED_CIDRS
from muniment.contract.manifest import Capability
from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.backup import Backup, check_restorable
from muniment.domain.datastore import DATASTORE, Datastore, DatastoreVersion, datastore_id
from muniment.domain.instance import Access, FlavorFacts, InstanceRequested, VersionFacts
from muniment.domain.refused import NotFound, Refused
from muniment.secret import Secret
from muniment.store.reader import Reader
from muniment_api.bodies import Cidr, FlavorRef, Name, SizeGiB, Uuid, flavor_id
from muniment_api.call import Call
from muniment_api.reads import as_id
from muniment_api.subjects import find_backup
from muniment_api.wanted import AT_ONCE, DatabaseBody, UserBody, wanted_databases, wanted_users

__all__ = ["CreateInstance", "Draft", "draft_of"]


FixedAddress = Annotated[str, msgspec.Meta(max_length=45)]
"""Never used: addresses cannot be chosen here; an empty one is none."""


class VolumeBody(msgspec.Struct, frozen=True):
    """The data volume; types do not exist on the clouds we have."""

    size: SizeGiB
    type: Name | None = None


class DatastoreBody(msgspec.Struct, frozen=True):
    """Which datastore, by name or id."""

    type: Name | None = None
    version: Name | None = None
    version_number: Name | None = None


class RestorePoint(msgspec.Struct, frozen=True):
    """The backup to restore."""

    backup_ref: Uuid = msgspec.field(name="backupRef")


class Nic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network to be attached to; gophercloud's names are understood too (D-21)."""

    network_id: Name | None = None
    net_id: Name | None = msgspec.field(name="net-id", default=None)
    subnet_id: Name | None = None
    ip_address: FixedAddress | None = None
    port_id: Name | None = msgspec.field(name="port-id", default=None)
    v4_fixed_ip: FixedAddress | None = msgspec.field(name="v4-fixed-ip", default=None)
    v6_fixed_ip: FixedAddress | None = msgspec.field(name="v6-fixed-ip", default=None)


class AccessBody(msgspec.Struct, frozen=True):
    """Who may reach it."""

    is_public: bool | None = None
    allowed_cidrs: Annotated[list[Cidr], msgspec.Meta(max_length=AT_ONCE)] | None = None


class FlavorObject(msgspec.Struct, frozen=True):
    """A flavor as openstacksdk may send it."""

    id: FlavorRef


class InstanceBody(
    msgspec.Struct, frozen=True, rename={"flavor_ref": "flavorRef", "restore_point": "restorePoint"}
):
    """The instance that is wanted; unknown keys are ignored, as Trove does."""

    name: Name
    flavor_ref: FlavorRef | None = None
    flavor: FlavorObject | FlavorRef | None = None
    volume: VolumeBody | SizeGiB | None = None
    datastore: DatastoreBody | None = None
    databases: Annotated[list[DatabaseBody], msgspec.Meta(max_length=AT_ONCE)] | None = None
    users: Annotated[list[UserBody], msgspec.Meta(max_length=AT_ONCE)] | None = None
    configuration: Name | None = None
    restore_point: RestorePoint | None = None
    replica_of: Name | None = None
    replica_count: Annotated[int, msgspec.Meta(ge=1, le=3)] | None = None
    nics: Annotated[list[Nic], msgspec.Meta(max_length=1)] | None = None
    access: AccessBody | None = None
    availability_zone: Name | None = None
    region_name: Name | None = None
    modules: list[Any] | None = None
    locality: Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"] | None = None


class CreateInstance(msgspec.Struct, frozen=True):
    """The request."""

    instance: InstanceBody


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was found good: its first event, the passwords that go into sealed rows, the backup it starts from."""

    requested: InstanceRequested
    passwords: dict[UUID, Secret]
    backup: Backup | None


def draft_of(call: Call, reader: Reader, instance_id: UUID, body: InstanceBody) -> Draft:
    """Check a request and make its first event.

    Raises:
        Refused: by the rules of `trove-api.md` 3.2.
    """
    _refuse_what_is_not_there(call, body)
    size_gib = _size_gib(call, body)
    datastore, version = _version(call, reader, body.datastore or DatastoreBody())
    backup = None if body.restore_point is None else _own_backup(call, reader, body.restore_point.backup_ref)
    if backup is not None:
        _check_backup(call, backup, datastore, version, size_gib)
    databases, users, passwords = _databases_and_users(call, datastore.name, body)
    requested = InstanceRequested(
        originator_id=instance_id,
        originator_version=1,
        name=body.name,
        flavor=_flavor(call, body),
        volume_size_gib=size_gib,
        datastore=VersionFacts(
            datastore=datastore.name,
            version_id=version.id,
            name=version.name,
            number=version.number,
            driver=version.driver,
            image=version.image,
        ),
        databases=databases,
        users=users,
        backup_id=None if backup is None else backup.id,
        access=_access(call, body),
        region=call.settings.region,
        availability_zone=body.availability_zone,
        network_id=_network_id(call, body.nics or []),
    )
    return Draft(requested=requested, passwords=passwords, backup=backup)


def _refuse_what_is_not_there(call: Call, body: InstanceBody) -> None:
    if body.replica_of is not None:
        raise Refused("no-replication", "the datastore's driver lacks the capability replication", status=422)
    if (body.replica_count or 1) > 1:
        raise Refused("bad-request", "replica_count needs replica_of", status=400)
    if body.configuration is not None:
        raise NotFound("configuration", body.configuration)
    if body.modules:
        raise Refused("no-modules", "there are no modules here; leave them out", status=400)
    if body.region_name not in (None, call.settings.region):
        raise Refused("other-region", f"this service's region is {call.settings.region}", status=400)


def _size_gib(call: Call, body: InstanceBody) -> int:
    match body.volume:
        case None:
            raise Refused("no-volume", "Say how large the volume is: `volume.size`, in GiB.", status=400)
        case VolumeBody(size=size, type=kind):
            if kind is not None:
                raise Refused("no-volume-type", f"there is no volume type {kind}", status=400)
        case size:
            pass
    limit = call.settings.volume_size_gib_max
    if size > limit:
        raise Refused("volume-too-large", f"a volume may have at most {limit} GiB, not {size}", status=413)
    return size


def _flavor(call: Call, body: InstanceBody) -> FlavorFacts:
    wanted = body.flavor_ref if body.flavor_ref is not None else body.flavor
    if wanted is None:
        raise Refused("no-flavor", "Name a flavor: `flavorRef`.", status=400)
    wanted_id = flavor_id(wanted.id if isinstance(wanted, FlavorObject) else wanted)
    flavor = call.services.flavor(wanted_id)
    if flavor is None:
        raise Refused("unknown-flavor", f"flavor {wanted_id} cannot be found", status=400)
    return FlavorFacts(id=flavor.id, name=flavor.name, ram_mib=flavor.ram_mib, vcpus=flavor.vcpus)


def _version(call: Call, reader: Reader, wanted: DatastoreBody) -> tuple[Datastore, DatastoreVersion]:
    datastore = _datastore(call, reader, wanted.type)
    if wanted.version is None and wanted.version_number is None:
        default = (
            datastore.versions.get(datastore.default_version_id) if datastore.default_version_id else None
        )
        if default is None or not default.active:
            raise Refused(
                "no-version", f"datastore {datastore.name} has no default version; name one", status=400
            )
        return datastore, default
    found = [
        version
        for version in datastore.versions.values()
        if (wanted.version in (None, version.name) or as_id(wanted.version or "") == version.id)
        and wanted.version_number in (None, version.number)
    ]
    named = wanted.version or wanted.version_number
    if len(found) != 1:
        what = "cannot be found" if not found else "is not the only one of that name; add version_number"
        raise Refused("bad-version", f"version {named} of datastore {datastore.name} {what}", status=400)
    if not found[0].active:
        raise Refused(
            "inactive-version", f"version {named} of datastore {datastore.name} is not active", status=400
        )
    return datastore, found[0]


def _datastore(call: Call, reader: Reader, wanted: str | None) -> Datastore:
    registered = call.services.drivers.datastores()
    if wanted is None:
        if len(registered) != 1:
            raise Refused("no-datastore", f"Name a datastore: one of {', '.join(registered)}.", status=400)
        wanted = registered[0]
    stream = as_id(wanted) or datastore_id(wanted)
    by_id = {datastore_id(name): name for name in registered}
    datastore = reader.load(DATASTORE, stream) if stream in by_id else None
    if datastore is None:
        raise NotFound("datastore", wanted)
    return datastore


def _own_backup(call: Call, reader: Reader, backup_id: UUID) -> Backup:
    """Administrators too restore only what is their project's: a project's data does not wander into another."""
    backup = find_backup(call, reader, backup_id)
    if backup.project_id != call.caller.project_id:
        raise NotFound("backup", backup_id)
    return backup


def _check_backup(
    call: Call, backup: Backup, datastore: Datastore, version: DatastoreVersion, size_gib: int
) -> None:
    call.services.drivers.require(datastore.name, Capability.RESTORE)
    check_restorable(backup, volume_size_gib=size_gib, datastore=datastore.name)
    assert backup.completed is not None, "only complete backups are restorable"
    control = call.services.drivers.control(datastore.name)
    if not control.backup_fits(backup_version=backup.completed.server_version, target_version=version.number):
        raise Refused(
            "other-version",
            f"backup {backup.id} is of {datastore.name} {backup.completed.server_version}, which {version.number} cannot "
            "restore",
            status=400,
        )


def _databases_and_users(
    call: Call, datastore: str, body: InstanceBody
) -> tuple[tuple[WantedDatabase, ...], tuple[WantedUser, ...], dict[UUID, Secret]]:
    if body.databases:
        call.require("instance:extension:database:create")
        call.services.drivers.require(datastore, Capability.DATABASES)
    if body.users:
        call.require("instance:extension:user:create")
        call.services.drivers.require(datastore, Capability.USERS)
    databases = wanted_databases(call, datastore, body.databases or [])
    users, passwords = wanted_users(call, datastore, body.users or [])
    present = {database.name for database in databases}
    for user in users:
        for name in user.databases:
            if name not in present:
                raise Refused(
                    "unknown-database",
                    f"database {name!r} of user {user.name!r} is not in this request",
                    status=400,
                )
    return databases, users, passwords


def _access(call: Call, body: InstanceBody) -> Access:
    if body.access is None:
        return Access()
    cidrs = body.access.allowed_cidrs
    if cidrs and ALLOWED_CIDRS not in call.services.capabilities:
        raise Refused(
            "no-allowed-cidrs", "this cloud cannot enforce allowed_cidrs; leave them out", status=422
        )
    return Access(is_public=body.access.is_public, allowed_cidrs=None if cidrs is None else tuple(cidrs))


def _network_id(call: Call, nics: list[Nic]) -> str | None:
    networks = call.services.networks
    default = next((network.id for network in networks if network.is_default), None)
    if not nics:
        if default is None:
            raise Refused("no-network", "Name a network: `nics`.", status=400)
        return default
    nic = nics[0]
    if nic.port_id:
        raise Refused("no-tenant-ports", "ports of tenants cannot be used here; name a network", status=400)
    if nic.ip_address or nic.v4_fixed_ip or nic.v6_fixed_ip:
        raise Refused("no-fixed-address", "addresses cannot be chosen here; name a network only", status=400)
    wanted = nic.network_id or nic.net_id
    if wanted is None:
        raise Refused("no-network", "a nic needs network_id", status=400)
    if nic.subnet_id or wanted not in {network.id for network in networks}:
        raise Refused("unknown-network", f"network {nic.subnet_id or wanted} cannot be found", status=400)
    return wanted
