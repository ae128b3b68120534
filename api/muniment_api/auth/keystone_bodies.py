"""What `POST /v3/auth/tokens` may carry."""

from typing import Annotated

import msgspec

from muniment.domain.refused import Refused
from muniment.secret import Secret

__all__ = ["Auth", "DomainRef", "LogIn", "PasswordUser", "ProjectRef", "Scope", "is_default"]

DEFAULT_DOMAIN_ID = "default"
"""Literally so: swiftclient sends this id whatever its configuration says."""
DEFAULT_DOMAIN_NAME = "Default"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class DomainRef(msgspec.Struct, frozen=True):
    """A domain, by id or by name."""

    id: Text | None = None
    name: Text | None = None


class PasswordUser(msgspec.Struct, frozen=True):
    """Who logs in with which password. A name without a domain is taken from the default one."""

    password: Secret
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None

    def __post_init__(self) -> None:
        if self.id is None and self.name is None:
            raise ValueError("Object missing required field `name` or `id`")


class PasswordProof(msgspec.Struct, frozen=True):
    """The password method."""

    user: PasswordUser


class TokenProof(msgspec.Struct, frozen=True):
    """The token method: trade a token for one with another scope."""

    id: Secret


class Proofs(msgspec.Struct, frozen=True):
    """The methods that are used, and what each needs."""

    methods: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=8)]
    password: PasswordProof | None = None
    token: TokenProof | None = None


class ProjectRef(msgspec.Struct, frozen=True):
    """A project, by id or by name; a name without a domain is taken from the default one."""

    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None

    def __post_init__(self) -> None:
        if self.id is None and self.name is None:
            raise ValueError("Object missing required field `name` or `id`")


class Scope(msgspec.Struct, frozen=True):
    """What a token shall be good for: a project. Other kinds (domain, system, trust) are not offered."""

    project: ProjectRef | None = None


class Auth(msgspec.Struct, frozen=True):
    """Proof and scope. The text `unscoped` asks for a token without a project; no scope, for the default project."""

    identity: Proofs
    scope: Scope | str | None = None

    @property
    def method(self) -> str:
        """The one method.

        Raises:
            Refused: 400, there are several, or the method's own part is missing.
        """
        if len(set(self.identity.methods)) != 1:
            raise Refused("bad-request", "Use one authentication method per request.", status=400)
        method = self.identity.methods[0]
        if method in ("password", "token") and getattr(self.identity, method) is None:
            message = f"Validation error: Object missing required field `{method}` - at `$.auth.identity`"
            raise Refused("bad-request", message, status=400)
        return method


class LogIn(msgspec.Struct, frozen=True):
    """The body."""

    auth: Auth


def is_default(domain: DomainRef | None) -> bool:
    """Whether a domain is the one there is; by name in any case, since many write its id as its name."""
    if domain is None:
        return True
    if domain.id is not None:
        return domain.id == DEFAULT_DOMAIN_ID
    return domain.name is not None and domain.name.lower() == DEFAULT_DOMAIN_NAME.lower()
