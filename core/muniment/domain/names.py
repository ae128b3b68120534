"""Names and passwords of databases and accounts, checked by the datastore's driver before a request is answered (D-28)."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from muniment.contract.control import ControlDriver
from muniment.contract.errors import RejectedName
from muniment.contract.ops import Account, DatabaseSpec
from muniment.domain.refused import Refused
from muniment.secret import Secret

__all__ = ["account_text", "check_account", "check_database", "check_password", "no_duplicates"]

T = TypeVar("T")


def check_database(control: ControlDriver, database: DatabaseSpec) -> DatabaseSpec:
    """Refuse (400) what the engine would refuse."""
    with _rejections():
        control.check_database(database)
    return database


def check_account(control: ControlDriver, name: str, host: str | None) -> Account:
    """The account in the datastore's normal form; refused (400) when the engine would."""
    with _rejections():
        return control.check_account(Account(name=name, host=host))


def check_password(control: ControlDriver, password: Secret) -> Secret:
    """Refuse (400) what the engine would refuse."""
    with _rejections():
        control.check_password(password)
    return password


def no_duplicates(what: str, items: Iterable[T], key: Callable[[T], str]) -> None:
    """Refuse (400) a list that names something twice."""
    seen: set[str] = set()
    for item in items:
        if (name := key(item)) in seen:
            raise Refused("duplicate", f"{what} {name!r} is named twice", status=400)
        seen.add(name)


def account_text(account: Account) -> str:
    """How an account is called in paths and markers: `name@host`; the host is `%` where it has none."""
    return f"{account.name}@{account.host or '%'}"


@contextmanager
def _rejections() -> Iterator[None]:
    try:
        yield
    except RejectedName as rejected:
        raise Refused(
            "bad-name", f"{rejected.field}: {rejected.message}", status=400, details={"field": rejected.field}
        ) from None
