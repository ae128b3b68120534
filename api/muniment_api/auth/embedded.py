"""The embedded identity: one machine's users file, tokens in memory, and HTTP Basic beside them for curl."""

import base64
import binascii
from datetime import datetime

import msgspec

from muniment.clock import Clock
from muniment.domain.refused import Refused
from muniment.secret import Secret
from muniment_api.auth.identity import Caller, Credentials, unauthorized
from muniment_api.auth.logins import Logins
from muniment_api.auth.tokens import Token, Tokens
from muniment_api.auth.users import Directory, User, UsersFile

__all__ = ["EmbeddedIdentity", "Session"]

_NAME_CHARS_MAX = 255
_PASSWORD_BYTES_MAX = 1024
_HEADER_BYTES_MAX = 4096


class Session(msgspec.Struct, frozen=True):
    """A valid token together with the user behind it."""

    user: User
    token: Token

    @property
    def caller(self) -> Caller:
        """The caller that acts with this token; an unscoped token acts in no project and holds no role."""
        project_id = self.token.project_id or ""
        return Caller(self.user.id, self.user.name, project_id, self.user.roles_in(project_id))


class EmbeddedIdentity:
    """The identity port over a users file, for a single machine; Keystone is the adapter for a cloud."""

    def __init__(
        self, users: UsersFile, clock: Clock, *, logins: Logins | None = None, tokens: Tokens | None = None
    ) -> None:
        """Serve the users of one file."""
        self._users = users
        self._logins = logins or Logins(users, clock)
        self._tokens = tokens or Tokens(clock)

    @property
    def directory(self) -> Directory:
        """The users and projects as they are now."""
        return self._users.directory()

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind a token or, when there is none, behind HTTP Basic; see the port."""
        if credentials.token is not None:
            return self.session(credentials.token).caller
        if credentials.authorization is None:
            raise unauthorized()
        name, password = _basic(credentials.authorization)
        user = await self._logins.verify(
            name=name, user_id=None, password=password, address=credentials.address
        )
        project_id = (
            credentials.project_id if user.roles_in(credentials.project_id) else user.default_project_id
        )
        return Caller(user.id, user.name, project_id, user.roles_in(project_id))

    async def log_in(self, *, name: str | None, user_id: str | None, password: Secret, address: str) -> User:
        """The user with this password, named by name or by id; raises as `Logins.verify`."""
        return await self._logins.verify(name=name, user_id=user_id, password=password, address=address)

    def issue(
        self,
        user: User,
        project_id: str | None,
        *,
        methods: tuple[str, ...],
        expires_at: datetime | None = None,
    ) -> tuple[Secret, Session]:
        """A token for a user who proved to be one, scoped to one of its projects or to none.

        Raises:
            Refused: 401, the project is not the user's (or does not exist, which is the same answer).
        """
        directory = self.directory
        stamp = directory.stamp(user.id)
        # The proof was checked against `user`; a record changed since then must not be served by it.
        if stamp is None or directory.by_id(user.id) != user:
            raise unauthorized()
        if project_id is not None and not user.roles_in(project_id):
            raise unauthorized()
        value, token = self._tokens.issue(
            user.id, project_id, stamp=stamp, methods=methods, expires_at=expires_at
        )
        return value, Session(user, token)

    def session(self, value: Secret) -> Session:
        """Who a token belongs to.

        Raises:
            Refused: 401, it is unknown, expired, revoked, or older than the user's last change.
        """
        token = self._tokens.find(value)
        if token is None:
            raise unauthorized()
        directory = self.directory
        user = directory.by_id(token.user_id)
        if user is None or directory.stamp(user.id) != token.stamp:
            self._tokens.revoke(value)
            raise unauthorized()
        return Session(user, token)

    def revoke(self, value: Secret) -> None:
        """End a token; unknown ones are ended already."""
        self._tokens.revoke(value)


def _basic(authorization: Secret) -> tuple[str, Secret]:
    """Name and password out of an `Authorization: Basic` header."""
    value = authorization.reveal()
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic" or len(value) > _HEADER_BYTES_MAX:
        raise unauthorized()
    try:
        name_bytes, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        name = name_bytes.decode()
        password.decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refused(
            "bad-authorization",
            "The Authorization header is not base64 of name:password in UTF-8.",
            status=400,
        ) from error
    if not colon or not 0 < len(name) <= _NAME_CHARS_MAX or len(password) > _PASSWORD_BYTES_MAX:
        raise unauthorized()
    return name, Secret(password)
