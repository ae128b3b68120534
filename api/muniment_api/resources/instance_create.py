"""The body of `POST /instances`, as the decider takes it, and what there is to decide upon."""

from typing import Annotated, Any, Literal

import msgspec

from muniment.cloud.cloud import ALLOWED_CIDRS
from muniment.domain.datastore import DATASTORE, Datastore, WantedVersion, datastore_id
from muniment.domain.instance import Access, FlavorFacts
from muniment.domain.instance_request import CreateInstance
from muniment.domain.offer import Offer, WantedNic
from muniment.store.reader import Reader
from muniment_api.bodies import Cidr, FlavorRef, Name, SizeGiB, Uuid, flavor_id
from muniment_api.call import Call
from muniment_api.wanted import AT_ONCE, DatabaseBody, UserBody, wanted_databases, wanted_users

__all__ = ["InstanceCreation", "command_of", "datastores_of", "offer_of"]


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


class InstanceCreation(msgspec.Struct, frozen=True):
    """The request."""

    instance: InstanceBody


def command_of(body: InstanceBody) -> CreateInstance:
    """What a body says, in plain values."""
    users, passwords = wanted_users(body.users or [])
    volume = VolumeBody(body.volume) if isinstance(body.volume, int) else body.volume
    said = body.datastore or DatastoreBody()
    return CreateInstance(
        name=body.name,
        flavor_id=_flavor_id(body),
        volume_size_gib=None if volume is None else volume.size,
        volume_type=None if volume is None else volume.type,
        version=WantedVersion(datastore=said.type, version=said.version, number=said.version_number),
        databases=wanted_databases(body.databases or []),
        users=users,
        passwords=passwords,
        backup_id=None if body.restore_point is None else body.restore_point.backup_ref,
        nic=_nic(body.nics[0]) if body.nics else None,
        access=_access(body.access or AccessBody()),
        region=body.region_name,
        availability_zone=body.availability_zone,
        configuration=body.configuration,
        replica_of=body.replica_of,
        replica_count=body.replica_count,
        has_modules=bool(body.modules),
    )


def offer_of(call: Call) -> Offer:
    """What there is to choose from at this moment."""
    services = call.services
    flavors = (FlavorFacts(id=f.id, name=f.name, ram_mib=f.ram_mib, vcpus=f.vcpus) for f in services.flavors)
    return Offer(
        flavors={flavor.id: flavor for flavor in flavors},
        networks=frozenset(network.id for network in services.networks),
        default_network=next((network.id for network in services.networks if network.is_default), None),
        enforces_allowed_cidrs=ALLOWED_CIDRS in services.capabilities,
        volume_size_gib_max=call.settings.volume_size_gib_max,
        region=call.settings.region,
        drivers=services.drivers,
    )


def datastores_of(call: Call, reader: Reader) -> list[Datastore]:
    """The registered datastores that have a driver."""
    found = (reader.load(DATASTORE, datastore_id(name)) for name in call.services.drivers.datastores())
    return [datastore for datastore in found if datastore is not None]


def _flavor_id(body: InstanceBody) -> str | None:
    wanted = body.flavor_ref if body.flavor_ref is not None else body.flavor
    if wanted is None:
        return None
    return flavor_id(wanted.id if isinstance(wanted, FlavorObject) else wanted)


def _nic(nic: Nic) -> WantedNic:
    return WantedNic(
        network_id=nic.network_id or nic.net_id,
        subnet_id=nic.subnet_id,
        port_id=nic.port_id,
        has_address=bool(nic.ip_address or nic.v4_fixed_ip or nic.v6_fixed_ip),
    )


def _access(body: AccessBody) -> Access:
    cidrs = body.allowed_cidrs
    return Access(is_public=body.is_public, allowed_cidrs=None if cidrs is None else tuple(cidrs))
