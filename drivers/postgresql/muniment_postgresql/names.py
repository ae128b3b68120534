"""Which names, passwords and settings PostgreSQL takes; pure, used by both halves."""

import unicodedata

from muniment.contract.errors import RejectedName
from muniment.contract.ops import Account

__all__ = [
    "ADMINISTRATOR", "GROUP_PREFIX", "SUPERUSER", "SYSTEM_DATABASES", "SYSTEM_ROLES", "account_name", "check_new_account",
    "check_new_database", "check_password", "is_system_database", "is_system_role", "major",
]  # fmt: skip

ADMINISTRATOR = "postgres"
"""The bootstrap superuser. It has no password: only the agent becomes it, over the socket."""
SUPERUSER = "root"
"""The tenant's superuser, when enabled."""
GROUP_PREFIX = "muniment_db_"
"""Of the roles that own databases, see `ownership.py`; the rest of the name is the database's oid."""

_NAME_BYTES_MAX = 63  # NAMEDATALEN - 1; the server would cut a longer name silently
_PASSWORD_CHARS_MAX = 512
SYSTEM_DATABASES = frozenset({"postgres", "template0", "template1", "os_admin"})
SYSTEM_ROLES = frozenset({ADMINISTRATOR, SUPERUSER, "os_admin", "replicator", "public", "none"})


def is_system_database(name: str) -> bool:
    """Whether it is the engine's or ours: never listed, made or dropped for a tenant."""
    return name in SYSTEM_DATABASES


def is_system_role(name: str) -> bool:
    """Whether it is the engine's, ours or the superuser: never listed, made or dropped as a user."""
    return name in SYSTEM_ROLES or name.startswith(("pg_", "muniment_"))


def account_name(account: Account) -> str:
    """The role of an account: hosts mean nothing to PostgreSQL, none and `%` are the same.

    Raises:
        RejectedName: another host, or the name of a system role.
    """
    if account.host not in (None, "", "%"):
        raise RejectedName(
            "host", f"PostgreSQL accounts have no host: leave {account.host!r} out or write '%'"
        )
    if is_system_role(account.name):
        raise RejectedName("name", f"the user name {account.name!r} is reserved")
    return account.name


def check_new_account(account: Account) -> Account:
    """Refuse a name that a new account must not have; return the account without its host.

    `@` separates name and host in the API's paths, and `/` the path's parts, so that neither can be in a name.
    """
    name = account_name(account)
    _check_name("user", name, forbidden="/@")
    return Account(name=name)


def check_new_database(name: str) -> None:
    """Refuse a name that a new database must not have."""
    if is_system_database(name):
        raise RejectedName("name", f"the database name {name!r} is reserved")
    _check_name("database", name, forbidden="/")


def check_password(password: str) -> None:
    """Refuse an empty password (to the engine: none at all), control characters and more than 512 characters."""
    if not password:
        raise RejectedName("password", "the password is empty")
    if len(password) > _PASSWORD_CHARS_MAX:
        raise RejectedName("password", f"the password is longer than {_PASSWORD_CHARS_MAX} characters")
    if not _is_printable(password):
        raise RejectedName("password", "the password holds a control character or broken text")


def major(version: str) -> str:
    """The part of a version that decides about the data format.

    >>> major("18.6"), major("18")
    ('18', '18')
    """
    return version.partition(".")[0]


def _check_name(what: str, name: str, *, forbidden: str) -> None:
    if not name or name.strip() != name:
        raise RejectedName("name", f"the {what} name {name!r} is empty or has a blank at an end")
    if not _is_printable(name):
        raise RejectedName("name", f"the {what} name {name!r} holds a control character or broken text")
    if len(name.encode()) > _NAME_BYTES_MAX:
        raise RejectedName(
            "name", f"the {what} name {name!r} is longer than {_NAME_BYTES_MAX} bytes in UTF-8"
        )
    found = sorted(set(forbidden) & set(name))
    if found or name in (".", ".."):
        raise RejectedName("name", f"the {what} name {name!r} may not hold {found[0] if found else name!r}")


def _is_printable(text: str) -> bool:
    # Cc: control characters; Cs: halves of surrogate pairs, which no UTF-8 can carry.
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
