"""An instance: a database server of a tenant, from the request to the last resource that is confirmed gone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

import msgspec

from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.event import Aggregate, Event, Personal, topic
from muniment.domain.history import IllegalHistory
from muniment.domain.occupancy import Hold, Occupant, Occupied, Released, entered, left
from muniment.domain.refused import Refused
from muniment.domain.resources import (
    EndpointAssigned,
    Presence,
    Resource,
    ResourceAbsent,
    ResourceExpected,
    ResourceGone,
    ResourceHeld,
    Role,
)

__all__ = [
    "INSTANCE", "Access", "DatabaseCreated", "DatabaseDropped", "DeletionBlocked", "DeletionRequested",
    "EngineInstalled", "EpochRaised", "Fault", "FlavorFacts", "GrantPut", "GrantRemoved", "GuestEnrolled",
    "HEALTH_PACE", "HealthChanged", "Instance", "InstanceBecameActive", "InstanceDeleted", "InstanceFailed",
    "InstanceRenamed", "InstanceRequested", "InstanceReset", "Lifecycle", "OperationFaulted",
    "SuperuserDisabled", "SuperuserEnabled", "UserAltered", "UserCreated", "UserDropped", "VersionFacts",
    "VolumeExtended", "VolumeGrown", "VolumePrepared",
    "check_actionable", "check_databases_reachable", "check_growable", "check_room_in_line", "next_version",
    "rename",
]  # fmt: skip

HEALTH_PACE: Final = timedelta(seconds=30)
"""How often a guest's health may change for long: once a beat."""


class FlavorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The flavor as it was at the request; deleting an instance needs no look-up."""

    id: str
    name: str
    ram_mib: int
    vcpus: int


class VersionFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The datastore version as it was at the request. What is not known is left out, as it was before it could be known."""

    datastore: str
    version_id: UUID
    name: str
    number: str
    driver: str
    image: str | None = None
    image_digest: str | None = None
    """By which the image's registry knew it; the guest pulls that very one."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What the tenant said about reachability; None where nothing was said."""

    is_public: bool | None = None
    allowed_cidrs: tuple[Personal, ...] | None = None


# -- events ------------------------------------------------------------------------------------------------------------


@topic("instance.requested.1")
class InstanceRequested(Event, frozen=True, kw_only=True):
    """A tenant asked for a database; validated, and counted by the quota."""

    name: Personal
    flavor: FlavorFacts
    volume_size_gib: int
    datastore: VersionFacts
    databases: tuple[WantedDatabase, ...] = ()
    users: tuple[WantedUser, ...] = ()
    backup_id: UUID | None = None
    access: Access = Access()
    region: str = "RegionOne"
    availability_zone: str | None = None
    network_id: str | None = None


@topic("instance.renamed.1")
class InstanceRenamed(Event, frozen=True, kw_only=True):
    """The tenant gave it another name."""

    name: Personal


@topic("instance.epoch_raised.1")
class EpochRaised(Event, frozen=True, kw_only=True):
    """Commands of lower epochs no longer count; the guest refuses them."""

    epoch: int


@topic("instance.guest_enrolled.1")
class GuestEnrolled(Event, frozen=True, kw_only=True):
    """The agent on that server proved itself and got its key."""

    server_id: str
    key_epoch: int


@topic("instance.volume_prepared.1")
class VolumePrepared(Event, frozen=True, kw_only=True):
    """What the data volume really is."""

    filesystem: str
    reflink: bool
    enforced: bool
    size_bytes: int


@topic("instance.volume_extended.1")
class VolumeExtended(Event, frozen=True, kw_only=True):
    """The cloud has the data volume in this size now; its filesystem may not fill it yet."""

    volume_size_gib: int


@topic("instance.volume_grown.1")
class VolumeGrown(Event, frozen=True, kw_only=True):
    """What the filesystem of the data volume offers now."""

    size_bytes: int


@topic("instance.engine_installed.1")
class EngineInstalled(Event, frozen=True, kw_only=True):
    """The exact server the guest found or pulled."""

    server_version: str
    image_digest: str | None = None


@topic("instance.database_created.1")
class DatabaseCreated(Event, frozen=True, kw_only=True):
    """A database exists."""

    name: Personal


@topic("instance.database_dropped.1")
class DatabaseDropped(Event, frozen=True, kw_only=True):
    """A database is gone."""

    name: Personal


@topic("instance.user_created.1")
class UserCreated(Event, frozen=True, kw_only=True):
    """An account exists."""

    name: Personal
    host: Personal | None = None


@topic("instance.user_altered.1")
class UserAltered(Event, frozen=True, kw_only=True):
    """An account got another name, host or password."""

    name: Personal
    host: Personal | None = None
    new_name: Personal | None = None
    new_host: Personal | None = None
    password_changed: bool = False


@topic("instance.user_dropped.1")
class UserDropped(Event, frozen=True, kw_only=True):
    """An account is gone."""

    name: Personal
    host: Personal | None = None


@topic("instance.grant_put.1")
class GrantPut(Event, frozen=True, kw_only=True):
    """An account got access to databases."""

    name: Personal
    host: Personal | None = None
    databases: tuple[Personal, ...]


@topic("instance.grant_removed.1")
class GrantRemoved(Event, frozen=True, kw_only=True):
    """An account lost access to a database."""

    name: Personal
    host: Personal | None = None
    database: Personal


@topic("instance.superuser_enabled.1")
class SuperuserEnabled(Event, frozen=True, kw_only=True):
    """The tenant's superuser exists, with a new password."""


@topic("instance.superuser_disabled.1")
class SuperuserDisabled(Event, frozen=True, kw_only=True):
    """The tenant's superuser is gone."""


@topic("instance.health_changed.1")
class HealthChanged(Event, frozen=True, kw_only=True):
    """The guest reported another state of the engine, or fell silent (`lost`)."""

    state: str
    """healthy, starting, stopped, crashed, unknown, or lost."""
    detail: str = ""


@topic("instance.became_active.1")
class InstanceBecameActive(Event, frozen=True, kw_only=True):
    """The database answers; the create operation succeeded."""


@topic("instance.failed.1")
class InstanceFailed(Event, frozen=True, kw_only=True):
    """The create operation failed; what it made was undone. The record stays until its owner deletes it."""

    message: Personal
    """For its owner. Personal, like the details, since an engine's words may name what the tenant named."""
    details: Personal = ""
    """For administrators."""


@topic("instance.operation_faulted.1")
class OperationFaulted(Event, frozen=True, kw_only=True):
    """Another operation failed; the instance goes on as before, with a message for its owner."""

    message: Personal
    details: Personal = ""


@topic("instance.reset.1")
class InstanceReset(Event, frozen=True, kw_only=True):
    """An administrator ended what was running; an instance that was active stays so, a building one is in error."""


@topic("instance.deletion_requested.1")
class DeletionRequested(Event, frozen=True, kw_only=True):
    """The delete operation has taken over."""


@topic("instance.deletion_blocked.1")
class DeletionBlocked(Event, frozen=True, kw_only=True):
    """A resource does not go away; the operation keeps trying."""

    role: Role
    reason: str


@topic("instance.deleted.1")
class InstanceDeleted(Event, frozen=True, kw_only=True):
    """Every resource is confirmed gone."""


# -- state -------------------------------------------------------------------------------------------------------------


class Lifecycle(StrEnum):
    """Where an instance is between request and end."""

    BUILDING = "building"
    ACTIVE = "active"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The one message its owner sees; overwritten by the next."""

    message: str
    details: str
    at: datetime | None


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its history tells it."""

    id: UUID
    version: int
    project_id: str
    name: str
    flavor: FlavorFacts
    volume_size_gib: int
    datastore: VersionFacts
    databases: tuple[WantedDatabase, ...]
    """As asked for at creation; what exists now only the engine knows."""
    users: tuple[WantedUser, ...]
    backup_id: UUID | None
    access: Access
    region: str
    availability_zone: str | None
    network_id: str | None
    created_at: datetime | None
    updated_at: datetime | None
    lifecycle: Lifecycle = Lifecycle.BUILDING
    epoch: int = 1
    occupants: tuple[Occupant, ...] = ()
    resources: dict[Role, Resource] = {}
    address: str | None = None
    port: int | None = None
    endpoint_network_id: str | None = None
    enrolled_server_id: str | None = None
    volume: VolumePrepared | None = None
    server_version: str | None = None
    image_digest: str | None = None
    superuser_enabled: bool = False
    health: str = "unknown"
    health_changed_at: datetime | None = None
    health_paced_to: datetime | None = None
    """Moves ahead of the present by `HEALTH_PACE` with each change of health: the further it is ahead, the more there were."""
    fault: Fault | None = None

    def held(self, role: Role) -> str | None:
        """The id of the resource in that role, if it is held."""
        resource = self.resources.get(role)
        return resource.resource_id if resource is not None and resource.presence is Presence.HELD else None

    @property
    def is_at_rest(self) -> bool:
        """Active and with nobody at work on it as a whole."""
        return self.lifecycle is Lifecycle.ACTIVE and not any(
            o.hold is Hold.EXCLUSIVE for o in self.occupants
        )

    def occupied_by(self, kind: str) -> bool:
        """Whether an operation of that kind is at work."""
        return any(o.kind == kind for o in self.occupants)


def _requested(e: InstanceRequested) -> Instance:
    return Instance(
        id=e.originator_id,
        version=e.originator_version,
        project_id=e.project_id,
        name=e.name,
        flavor=e.flavor,
        volume_size_gib=e.volume_size_gib,
        datastore=e.datastore,
        databases=e.databases,
        users=e.users,
        backup_id=e.backup_id,
        access=e.access,
        region=e.region,
        availability_zone=e.availability_zone,
        network_id=e.network_id,
        created_at=e.at,
        updated_at=e.at,
    )


def _resource_of(s: Instance, e: ResourceExpected | ResourceHeld | ResourceAbsent | ResourceGone) -> Resource:
    match e:
        case ResourceExpected():
            return Resource(role=e.role, presence=Presence.EXPECTED, settled_at_s=e.settled_at_s)
        case ResourceHeld():
            return Resource(role=e.role, presence=Presence.HELD, resource_id=e.resource_id)
        case ResourceAbsent():
            return Resource(role=e.role, presence=Presence.ABSENT)
        case ResourceGone():
            return Resource(role=e.role, presence=Presence.GONE, resource_id=e.resource_id)
    assert_never(e)


_NO_ENDPOINT: Final[dict[str, object]] = {"address": None, "port": None, "endpoint_network_id": None}


def _paced(before: datetime | None, at: datetime | None) -> datetime | None:
    """Where a change at that moment moves `health_paced_to`; an event that is not saved yet has no moment."""
    if at is None:
        return before
    return (at if before is None else max(before, at)) + HEALTH_PACE


def _changes(s: Instance, e: Event) -> dict[str, object]:  # one case an event is the clear form
    match e:
        case InstanceRenamed():
            return {"name": e.name}
        case Occupied():
            return {"occupants": entered(s.occupants, e)}
        case Released():
            return {"occupants": left(s.occupants, e)}
        case EpochRaised():
            return {"epoch": e.epoch}
        case ResourceExpected() | ResourceHeld() | ResourceAbsent() | ResourceGone():
            resources: dict[str, object] = {"resources": {**s.resources, e.role: _resource_of(s, e)}}
            is_unreachable = isinstance(e, ResourceGone) and e.role is Role.PORT
            return resources | _NO_ENDPOINT if is_unreachable else resources
        case EndpointAssigned():
            return {"address": e.address, "port": e.port, "endpoint_network_id": e.network_id}
        case GuestEnrolled():
            return {"enrolled_server_id": e.server_id}
        case VolumePrepared():
            return {"volume": e}
        case VolumeExtended():
            return {"volume_size_gib": e.volume_size_gib}
        case VolumeGrown():
            return {"volume": s.volume and msgspec.structs.replace(s.volume, size_bytes=e.size_bytes)}
        case EngineInstalled():
            return {"server_version": e.server_version, "image_digest": e.image_digest}
        case HealthChanged():
            return {
                "health": e.state,
                "health_changed_at": e.at,
                "health_paced_to": _paced(s.health_paced_to, e.at),
            }
        case InstanceBecameActive():
            return {"lifecycle": Lifecycle.ACTIVE}
        case InstanceFailed():
            return {
                "lifecycle": Lifecycle.FAILED,
                "fault": Fault(message=e.message, details=e.details, at=e.at),
            }
        case OperationFaulted():
            return {"fault": Fault(message=e.message, details=e.details, at=e.at)}
        case InstanceReset():
            return {"lifecycle": s.lifecycle if s.lifecycle is not Lifecycle.BUILDING else Lifecycle.FAILED}
        case SuperuserEnabled():
            return {"superuser_enabled": True}
        case SuperuserDisabled():
            return {"superuser_enabled": False}
        case DeletionRequested():
            return {"lifecycle": Lifecycle.DELETING}
        case InstanceDeleted():
            return {"lifecycle": Lifecycle.DELETED}
        case (
            DatabaseCreated()
            | DatabaseDropped()
            | UserCreated()
            | UserAltered()
            | UserDropped()
            | GrantPut()
            | GrantRemoved()
            | DeletionBlocked()
        ):
            return {}  # told by the history; the engine alone knows what exists now
    raise IllegalHistory(f"{type(e).__name__} does not belong into an instance's stream")


def apply(state: Instance | None, event: Event) -> Instance:
    """One event more; raises IllegalHistory for what no decider produces."""
    if state is None:
        if not isinstance(event, InstanceRequested) or event.originator_version != 1:
            raise IllegalHistory(
                f"an instance's stream begins with InstanceRequested, not {type(event).__name__}"
            )
        return _requested(event)
    if event.originator_version != state.version + 1 or event.originator_id != state.id:
        raise IllegalHistory(f"version {event.originator_version} does not follow {state.version}")
    if state.lifecycle is Lifecycle.DELETED:
        raise IllegalHistory(f"{type(event).__name__} after the end of instance {state.id}")
    changes = _changes(state, event)
    quiet = isinstance(event, (HealthChanged, Occupied, Released))
    return msgspec.structs.replace(
        state,
        version=event.originator_version,
        updated_at=state.updated_at if quiet else (event.at or state.updated_at),
        **changes,
    )


INSTANCE: Aggregate[Instance] = Aggregate("instance", apply)


# -- deciders ----------------------------------------------------------------------------------------------------------


def next_version(state: Instance | None) -> int:
    """The version of the next event of the stream."""
    return 1 if state is None else state.version + 1


def rename(instance: Instance, name: str) -> list[Event]:
    """Decide another name; allowed in any state, nothing to do for the same one."""
    if instance.name == name:
        return []
    return [InstanceRenamed(originator_id=instance.id, originator_version=instance.version + 1, name=name)]


ACTIONABLE_HEALTH = frozenset({"healthy", "stopped", "crashed", "starting"})
GROWABLE_HEALTH = ACTIONABLE_HEALTH | {"unknown"}
REACHABLE_HEALTH = frozenset({"healthy"})


def check_actionable(instance: Instance) -> None:
    """Refuse (422) unless an action on the instance as a whole may begin; the first reason is named (`trove-api.md` 4.3)."""
    _check_free(instance, ACTIONABLE_HEALTH, _is_in_the_way_of_all)


def check_growable(instance: Instance) -> None:
    """Refuse (422) unless its volume may grow: as for any action, but an engine that gives no answer is no obstacle, since
    a full volume is a reason for that. One whose agent is lost has nobody to grow its filesystem."""
    _check_free(instance, GROWABLE_HEALTH, _is_in_the_way_of_all)


def check_databases_reachable(instance: Instance) -> None:
    """Refuse (422) unless databases, users and the superuser can be worked on (`trove-api.md` 3.6)."""
    _check_free(instance, REACHABLE_HEALTH, lambda o: o.hold is Hold.EXCLUSIVE)


def _is_in_the_way_of_all(occupant: Occupant) -> bool:
    return occupant.hold is Hold.EXCLUSIVE or occupant.kind == "create_backup"


def _check_free(
    instance: Instance, health: frozenset[str], is_in_the_way: Callable[[Occupant], bool]
) -> None:
    """Refuse (422) an instance that is not active, then one that somebody is at work on, then one in worse health."""
    if instance.lifecycle is not Lifecycle.ACTIVE:
        raise Refused(
            "instance-not-active", f"instance {instance.id} is {instance.lifecycle}; wait until it is active"
        )
    if (occupant := next(filter(is_in_the_way, instance.occupants), None)) is not None:
        raise Refused(
            "instance-busy",
            f"instance {instance.id} is busy with {occupant.kind.replace('_', ' ')}; wait for operation "
            f"{occupant.operation_id}",
            details={"operation_id": str(occupant.operation_id)},
        )
    if instance.health not in health:
        raise Refused("instance-unhealthy", f"the database of instance {instance.id} is {instance.health}")


OCCUPANTS_MAX = 32
"""Operations that an instance may have at once, most of them waiting for its guest. Its owner can ask much faster than
any engine can do, and each that waits costs a look now and then."""


def check_room_in_line(instance: Instance) -> None:
    """Refuse (422) one operation more than may wait. Deletion and reset are not asked: they end the others."""
    if len(instance.occupants) >= OCCUPANTS_MAX:
        raise Refused(
            "instance-busy",
            f"instance {instance.id} has {len(instance.occupants)} operations that have not ended, and may have "
            f"{OCCUPANTS_MAX} at once; wait until some of them have ended",
        )
