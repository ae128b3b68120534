"""What a cloud is asked to make for an instance, and what it says of it.

A *kind* is what the cloud has (a volume, a port, a server); a *role* is what one of them is to its instance. Each is
found again by its deterministic name and its role's tag, whoever made it and whatever was lost since.
"""

from enum import StrEnum
from uuid import UUID

import msgspec

from muniment.secret import Secret

__all__ = [
    "CloudResource", "Condition", "Endpoint", "Flavor", "GuestSeed", "Kind", "Network", "PortRecipe", "Recipe",
    "ServerRecipe", "Tag", "VolumeRecipe", "name_of",
]  # fmt: skip


class Kind(StrEnum):
    """The sorts of resource that every cloud has."""

    VOLUME = "volume"
    PORT = "port"
    SERVER = "server"


class Tag(msgspec.Struct, frozen=True):
    """Whose a resource is, and what for; stored with it in the cloud. One resource carries one tag."""

    instance_id: UUID
    role: str


def name_of(instance_id: UUID) -> str:
    """The name of each of an instance's resources; Trove's, so that operators find what they know.

    >>> name_of(UUID(int=7))
    'trove-00000000-0000-0000-0000-000000000007'
    """
    return f"trove-{instance_id}"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a port is reached."""

    address: str
    port: int
    network_id: str


class Condition(StrEnum):
    """What a cloud says of a resource that it knows."""

    BUILDING = "building"
    HEALTHY = "healthy"
    ERRORED = "errored"
    DELETING = "deleting"


class CloudResource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource as the cloud sees it now."""

    kind: Kind
    id: str
    tag: Tag
    condition: Condition
    created_at_s: float
    """Seconds since 1970, by the cloud's clock; the reconciler measures age by it."""
    reason: str = ""
    """Why it is errored, for administrators."""
    endpoint: Endpoint | None = None
    """Of a healthy port."""
    size_gib: int | None = None
    """Of a volume, as it is now; one that is being extended is building."""


class VolumeRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A data volume."""

    tag: Tag
    size_gib: int
    availability_zone: str | None = None

    @property
    def kind(self) -> Kind:
        """Always a volume."""
        return Kind.VOLUME


class PortRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """An address of its own, on which clients reach the database."""

    tag: Tag
    network_id: str | None
    """None: the cloud's default network."""
    port: int
    """The TCP port the datastore should have; a cloud that has to take another says so in the endpoint."""
    is_public: bool | None = None
    allowed_cidrs: tuple[str, ...] | None = None

    @property
    def kind(self) -> Kind:
        """Always a port."""
        return Kind.PORT


class GuestSeed(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is told at its birth, and may be read for ever after by whoever can read user-data.

    The token opens one enrolment, once; nothing else in it is secret. What is the same for all guests of an installation
    (gateway addresses, certificates, paths) the cloud adds from its own settings.
    """

    instance_id: UUID
    key_epoch: int
    token: Secret
    datastore: str
    memory_mib: int


class ServerRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs an agent, with a volume and a port attached. Its volume and port outlive it."""

    tag: Tag
    flavor_id: str
    memory_mib: int
    vcpus: int
    volume_id: str
    port_id: str
    image: str | None = None
    availability_zone: str | None = None
    seed: GuestSeed

    @property
    def kind(self) -> Kind:
        """Always a server."""
        return Kind.SERVER


Recipe = VolumeRecipe | PortRecipe | ServerRecipe
"""Everything a cloud can be asked to make."""


class Flavor(msgspec.Struct, frozen=True, kw_only=True):
    """A size of server."""

    id: str
    name: str
    ram_mib: int
    vcpus: int
    disk_gib: int = 0
    ephemeral_gib: int = 0


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network that instances may be attached to."""

    id: str
    name: str
    is_default: bool = False
