"""Settings of the local cloud: its section of the settings file."""

from typing import Annotated, Literal

import msgspec

from muniment.contract.server_config import DOCKER_SOCKET

__all__ = ["FlavorSettings", "ImageSettings", "LocalCloudSettings"]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class FlavorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One size of server. The memory is what the engine is configured for; nothing enforces it here."""

    id: Name
    """What requests name; it never changes its meaning."""
    name: Name
    """What people read."""
    ram_mib: Annotated[int, msgspec.Meta(ge=128, le=4_194_304)]
    """Memory in MiB."""
    vcpus: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    """Processors; shown, not enforced."""


class ImageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image that a datastore version runs in, in place of the official one that its driver names."""

    datastore: Name
    """The datastore, e.g. `postgresql`."""
    version: Name
    """Its version's name, e.g. `17`."""
    image: Name
    """The reference, e.g. `registry.example/postgres:17`."""


_FLAVORS = (
    FlavorSettings("1", "db.tiny", 256),
    FlavorSettings("2", "db.small", 512),
    FlavorSettings("3", "db.medium", 1024, 2),
    FlavorSettings("4", "db.large", 4096, 4),
)


class LocalCloudSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this machine gives to instances."""

    flavors: Annotated[tuple[FlavorSettings, ...], msgspec.Meta(min_length=1, max_length=100)] = _FLAVORS
    """The sizes on offer, as `[[local.flavors]]`; they replace the default ones."""
    engine_uid_first: Annotated[int, msgspec.Meta(ge=1000, le=4_000_000_000)] = 60_706
    """Engines run as users of their own where we are root, from this number on. The default range is one that Debian and
    systemd leave unassigned."""
    engine_uid_last: Annotated[int, msgspec.Meta(ge=1000, le=4_000_000_000)] = 61_183
    """To this number, itself included: one database takes one."""
    free_bytes_min: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024 * 1024
    """No volume is made when less than this is free on the disk that holds the volumes."""

    runtime: Literal["auto", "docker", "process"] = "auto"
    """How engines of new instances run. `docker`: in containers, which takes root and a Docker engine. `process`: as plain
    processes. `auto`: in containers where `[[local.images]]` names one, we are root and a Docker engine answers; else as
    processes. An instance keeps the one that it was made with."""
    docker_socket: Annotated[str, msgspec.Meta(pattern=r"^/")] = DOCKER_SOCKET
    """Where the Docker engine answers."""
    images: Annotated[tuple[ImageSettings, ...], msgspec.Meta(max_length=100)] = ()
    """Images in place of those that drivers name, as `[[local.images]]`. The official ones, which are the default, have not
    been tried yet: only those of `make images` have."""
    full_copies: bool = False
    """Let a backup copy the data on the volume in full where the file system cannot share blocks between files."""
    allow_shared_superuser: bool = False
    """Let tenants enable the superuser although all engines run as one user, as they do where we are not root: a tenant's
    superuser then reaches every database of this machine, and the key-encryption key."""

    def __post_init__(self) -> None:
        if self.engine_uid_last < self.engine_uid_first:
            raise ValueError("engine_uid_last is below engine_uid_first")
        named = [(image.datastore, image.version) for image in self.images]
        if len(set(named)) != len(named):
            raise ValueError("two images are for the same version of a datastore")
        for field in ("id", "name"):
            values = [getattr(flavor, field) for flavor in self.flavors]
            if len(set(values)) != len(values):
                raise ValueError(f"two flavors have the same {field}")
