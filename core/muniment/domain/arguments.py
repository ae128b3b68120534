"""What an operation was asked to do beyond its subjects: a tagged union, so that each kind's names are typed, and sealed
where they are personal. Passwords and keys are references into the `secrets` table."""

from uuid import UUID

import msgspec

from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.event import Personal

__all__ = [
    "AlterUserArguments", "Arguments", "BackupArguments", "DatabasesArguments", "DropDatabaseArguments",
    "DropUserArguments", "GrantArguments", "NoArguments", "ResizeVolumeArguments", "RestoreArguments",
    "RevokeArguments",
    "SuperuserArguments", "UsersArguments",
]  # fmt: skip


class NoArguments(msgspec.Struct, frozen=True, kw_only=True, tag="none"):
    """The subjects say it all."""


class RestoreArguments(msgspec.Struct, frozen=True, kw_only=True, tag="restore"):
    """Where the data key of the backup lies that a new instance is filled from."""

    secret_ref: UUID


class BackupArguments(msgspec.Struct, frozen=True, kw_only=True, tag="backup"):
    """Where the new data key of a backup lies for the guest, and its name in the manifest."""

    secret_ref: UUID
    key_id: str


class ResizeVolumeArguments(msgspec.Struct, frozen=True, kw_only=True, tag="resize_volume"):
    """How large the data volume is to be."""

    volume_size_gib: int


class DatabasesArguments(msgspec.Struct, frozen=True, kw_only=True, tag="databases"):
    """Databases to create."""

    databases: tuple[WantedDatabase, ...]


class DropDatabaseArguments(msgspec.Struct, frozen=True, kw_only=True, tag="drop_database"):
    """A database to drop."""

    name: Personal


class UsersArguments(msgspec.Struct, frozen=True, kw_only=True, tag="users"):
    """Accounts to create."""

    users: tuple[WantedUser, ...]


class AlterUserArguments(msgspec.Struct, frozen=True, kw_only=True, tag="alter_user"):
    """An account and what it is to be called, or what its password is to be; what is None stays."""

    name: Personal
    host: Personal | None = None
    new_name: Personal | None = None
    new_host: Personal | None = None
    secret_ref: UUID | None = None


class DropUserArguments(msgspec.Struct, frozen=True, kw_only=True, tag="drop_user"):
    """An account to drop."""

    name: Personal
    host: Personal | None = None


class GrantArguments(msgspec.Struct, frozen=True, kw_only=True, tag="grant"):
    """Databases that an account gets access to, beside those it has."""

    name: Personal
    host: Personal | None = None
    databases: tuple[Personal, ...]


class RevokeArguments(msgspec.Struct, frozen=True, kw_only=True, tag="revoke"):
    """The database that an account loses access to."""

    name: Personal
    host: Personal | None = None
    database: Personal


class SuperuserArguments(msgspec.Struct, frozen=True, kw_only=True, tag="superuser"):
    """The new password of the tenant's superuser."""

    secret_ref: UUID


Arguments = (
    NoArguments
    | RestoreArguments
    | BackupArguments
    | ResizeVolumeArguments
    | DatabasesArguments
    | DropDatabaseArguments
    | UsersArguments
    | AlterUserArguments
    | DropUserArguments
    | GrantArguments
    | RevokeArguments
    | SuperuserArguments
)
"""The arguments of every kind of operation."""
