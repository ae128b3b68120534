"""Databases and accounts in request bodies, and in plain values."""

from typing import Annotated
from uuid import UUID, uuid4

import msgspec

from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.secret import Secret
from muniment_api.bodies import AccountName, HostPattern, Name

__all__ = ["AT_ONCE", "DatabaseBody", "DatabaseName", "UserBody", "wanted_databases", "wanted_users"]

AT_ONCE = 100
"""The most databases, accounts or grants that one request names."""


class DatabaseBody(msgspec.Struct, frozen=True):
    """A database in a request."""

    name: Name
    character_set: Name | None = None
    collate: Name | None = None


class DatabaseName(msgspec.Struct, frozen=True):
    """A database that an account may use."""

    name: Name


class UserBody(msgspec.Struct, frozen=True):
    """An account in a request."""

    name: AccountName
    password: Secret
    host: HostPattern | None = None
    databases: Annotated[list[DatabaseName], msgspec.Meta(max_length=AT_ONCE)] = []


def wanted_databases(bodies: list[DatabaseBody]) -> tuple[WantedDatabase, ...]:
    """The databases that a request names, not yet checked."""
    return tuple(
        WantedDatabase(name=b.name, character_set=b.character_set, collate=b.collate) for b in bodies
    )


def wanted_users(bodies: list[UserBody]) -> tuple[tuple[WantedUser, ...], dict[UUID, Secret]]:
    """The accounts that a request names, not yet checked, and their passwords by `secret_ref`."""
    wanted: list[WantedUser] = []
    passwords: dict[UUID, Secret] = {}
    for body in bodies:
        ref = uuid4()
        passwords[ref] = body.password
        databases = tuple(database.name for database in body.databases)
        wanted.append(WantedUser(name=body.name, host=body.host, databases=databases, secret_ref=ref))
    return tuple(wanted), passwords
