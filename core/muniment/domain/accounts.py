"""Databases and accounts as a tenant asks for them; names are personal, passwords are references."""

from uuid import UUID

import msgspec

from muniment.domain.event import Personal

__all__ = ["WantedDatabase", "WantedUser"]


class WantedDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """A database to be made."""

    name: Personal
    character_set: str | None = None
    collate: str | None = None


class WantedUser(msgspec.Struct, frozen=True, kw_only=True):
    """An account to be made, with access to these databases; its password lies sealed in the `secrets` table until the
    operation ends."""

    name: Personal
    host: Personal | None = None
    databases: tuple[Personal, ...] = ()
    secret_ref: UUID
