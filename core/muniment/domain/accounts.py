"""Databases and accounts as a tenant asks for them; names are personal, passwords are references."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from muniment.contract.control import ControlDriver
from muniment.contract.ops import Account, DatabaseSpec
from muniment.domain.event import Personal
from muniment.domain.names import account_text, check_account, check_database, check_password, no_duplicates
from muniment.secret import Secret

__all__ = ["WantedDatabase", "WantedUser", "accepted_databases", "accepted_users"]


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


def accepted_databases(
    control: ControlDriver, wanted: Sequence[WantedDatabase]
) -> tuple[WantedDatabase, ...]:
    """The databases, none twice; refused (400) when the engine would refuse one."""
    for database in wanted:
        spec = DatabaseSpec(
            name=database.name, character_set=database.character_set, collate=database.collate
        )
        check_database(control, spec)
    no_duplicates("database", wanted, lambda database: database.name)
    return tuple(wanted)


def accepted_users(
    control: ControlDriver, wanted: Sequence[WantedUser], passwords: Mapping[UUID, Secret]
) -> tuple[WantedUser, ...]:
    """The accounts in the datastore's normal form, none twice; refused (400) when the engine would refuse one or its
    password. `passwords` are by `secret_ref`; a host that is not said is any."""
    accepted = []
    for user in wanted:
        account = check_account(control, user.name, user.host or "%")
        check_password(control, passwords[user.secret_ref])
        accepted.append(msgspec.structs.replace(user, name=account.name, host=account.host))
    no_duplicates("user", accepted, lambda user: account_text(Account(name=user.name, host=user.host)))
    return tuple(accepted)
