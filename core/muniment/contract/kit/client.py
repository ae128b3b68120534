"""How the kit becomes a tenant: the one thing it cannot know by itself is the datastore's own protocol.

A driver's author gives a class with these methods (`--client package.module:Class`); rules that log in need it and are
skipped without one.
"""

from dataclasses import dataclass
from typing import Protocol

from muniment.secret import Secret

__all__ = ["Client", "Login", "LoginRefused"]


class LoginRefused(Exception):
    """The engine did not let the account in, or not into that database."""


@dataclass(frozen=True)
class Login:
    """Where a client goes, and as whom."""

    address: str
    port: int
    account: str
    password: Secret
    database: str
    """Empty for the superuser, who needs none."""


class Client(Protocol):
    """Logs in anew for each call; raises LoginRefused when it may not, and nothing else on purpose."""

    def store(self, login: Login, word: str) -> None:
        """Keep a word in a table `kit_words` of the database, made where it is not there."""
        ...

    def words(self, login: Login) -> list[str]:
        """The words in that table, sorted; none where it is not there."""
        ...

    def is_superuser(self, login: Login) -> bool:
        """Whether the account has all power."""
        ...
