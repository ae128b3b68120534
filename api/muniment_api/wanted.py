"""Databases and accounts in request bodies, and what becomes of them once the driver accepts them."""

from typing import Annotated
from uuid import UUID, uuid4

import msgspec

from muniment.contract.ops import Account, DatabaseSpec
from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.secret import Secret
from muniment_api.bodies import AccountName, HostPattern, Name
from muniment_api.call import Call
from muniment_api.names import account_text, check_account, check_database, check_password, no_duplicates

__all__ = ["AT_ONCE", "DatabaseBody", "DatabaseName", "UserBody", "wanted_databases", "wanted_users"]

AT_ONCE = 100
"""The most databases, accounts or grants that one request names."""


class DatabaseBody(msgspec.Struct, frozen=True):
    """A database in a request."""

    name: Name
    character_set: Name | None = None
    collate: Name | None = None

    @property
    def spec(self) -> DatabaseSpec:
        """As the driver knows it."""
        return DatabaseSpec(name=self.name, character_set=self.character_set, collate=self.collate)


class DatabaseName(msgspec.Struct, frozen=True):
    """A database that an account may use."""

    name: Name


class UserBody(msgspec.Struct, frozen=True):
    """An account in a request."""

    name: AccountName
    password: Secret
    host: HostPattern | None = None
    databases: Annotated[list[DatabaseName], msgspec.Meta(max_length=AT_ONCE)] = []


def wanted_databases(call: Call, datastore: str, bodies: list[DatabaseBody]) -> tuple[WantedDatabase, ...]:
    """Databases that the driver accepts, none twice; refused with 400 otherwise."""
    control = call.services.drivers.control(datastore)
    for body in bodies:
        check_database(control, body.spec)
    no_duplicates("database", bodies, lambda body: body.name)
    return tuple(
        WantedDatabase(name=b.name, character_set=b.character_set, collate=b.collate) for b in bodies
    )


def wanted_users(
    call: Call, datastore: str, bodies: list[UserBody]
) -> tuple[tuple[WantedUser, ...], dict[UUID, Secret]]:
    """Accounts that the driver accepts, none twice, and their passwords by `secret_ref`."""
    control = call.services.drivers.control(datastore)
    wanted: list[WantedUser] = []
    passwords: dict[UUID, Secret] = {}
    for body in bodies:
        account = check_account(control, body.name, body.host or "%")
        ref = uuid4()
        passwords[ref] = check_password(control, body.password)
        databases = tuple(database.name for database in body.databases)
        wanted.append(WantedUser(name=account.name, host=account.host, databases=databases, secret_ref=ref))
    no_duplicates("user", wanted, lambda user: account_text(Account(name=user.name, host=user.host)))
    return tuple(wanted), passwords
