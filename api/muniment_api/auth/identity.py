"""The identity port: from what a request carries to who is asking, in which project, with which roles."""

from typing import Protocol

import msgspec

from muniment.domain.refused import Refused
from muniment.secret import Secret

__all__ = ["ADMIN", "MEMBER", "READER", "Caller", "Credentials", "Identity", "unauthorized"]

ADMIN = "admin"
"""Sees and acts on every project's resources; carries the management API."""
MEMBER = "member"
"""Reads and writes in its project."""
READER = "reader"
"""Reads in its project."""


class Caller(msgspec.Struct, frozen=True):
    """Somebody who proved who they are, acting in one project (empty: in none)."""

    user_id: str
    user_name: str
    project_id: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether the caller holds the admin role, in whichever project."""
        return ADMIN in self.roles


class Credentials(msgspec.Struct, frozen=True):
    """What a request offers as proof: the values of `X-Auth-Token` and `Authorization`, and where it comes from.

    `project_id` is the project in the request's path; a kind of proof that names no project of its own acts in that one.
    """

    token: Secret | None
    authorization: Secret | None
    address: str
    project_id: str


class Identity(Protocol):
    """Tells who is asking; implemented by the embedded users file and, for a cloud, by Keystone."""

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind the credentials.

        Raises:
            Refused: 401 when nothing valid was offered, 429 after too many failed passwords.
        """
        ...


def unauthorized() -> Refused:
    """The one refusal for every failed proof, so that it tells nothing about which part was wrong."""
    return Refused("unauthorized", "The request you have made requires authentication.", status=401)
