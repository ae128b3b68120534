"""What a driver says of itself, as data: the hook returns these and the host checks them at load."""

from enum import StrEnum

import msgspec

__all__ = ["CONTRACT_MAJOR", "CONTRACT_MINOR", "Capability", "DatastoreSupport", "Manifest", "VersionSupport"]

CONTRACT_MAJOR = 1
"""Raised when something is removed or changes its meaning; a driver of another major is refused."""
CONTRACT_MINOR = 0
"""Raised when something is added; a driver of a newer minor is refused."""


class Capability(StrEnum):
    """What a driver can do; the API refuses what is not here with 422 before anything is recorded."""

    CORE = "core"
    VOLUME = "volume"
    DATABASES = "databases"
    USERS = "users"
    USERS_HOST = "users.host"
    SUPERUSER = "superuser"
    BACKUP_FULL = "backup.full"
    RESTORE = "restore"


class VersionSupport(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a datastore that the driver supports and that is registered at first start."""

    name: str
    """What users type, e.g. `18`."""
    number: str
    """What picks the programs or the image, e.g. `18.6`."""
    image: str | None = None
    """The image that has it where engines run in containers, e.g. `postgres:17`; an operator may name another."""
    needs_image: bool = False
    """Whether it can be had in containers alone; elsewhere the version is not active."""
    default: bool = False


class DatastoreSupport(msgspec.Struct, frozen=True, kw_only=True):
    """A datastore and its versions."""

    name: str
    versions: tuple[VersionSupport, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A driver's description. Its halves are named by import string: the control plane never imports the guest half."""

    driver: str
    version: str
    control: str
    """`package.module:Class` of the ControlDriver."""
    guest: str
    """`package.module:Class` of the GuestDriver."""
    contract_major: int = CONTRACT_MAJOR
    contract_minor: int = CONTRACT_MINOR
    datastores: tuple[DatastoreSupport, ...]
    capabilities: frozenset[str]
    backup_methods: tuple[str, ...] = ()
    backup_needs_reflink: bool = False
    """Whether backups take a volume whose file system shares blocks between files, or leave for full copies on it."""
