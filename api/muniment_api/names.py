"""Accounts as paths name them."""

from urllib.parse import unquote

from muniment.contract.control import ControlDriver
from muniment.contract.ops import Account
from muniment.domain.names import check_account

__all__ = ["account_in_path"]


def account_in_path(control: ControlDriver, text: str) -> Account:
    """The account that a path names: `name` or `name@host`; the last `@` separates, no host is `%`.

    Clients encode such names once or twice; a doubly encoded one has no `@` of its own.
    """
    if "@" not in text and "%40" in text:
        text = unquote(text)
    name, _, host = text.rpartition("@") if "@" in text else (text, "", "")
    return check_account(control, name, unquote(host) if "%2" in host else host or "%")
