"""Tokens of the embedded identity: opaque, kept as hashes in memory, bounded in number and in time."""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from muniment.clock import Clock
from muniment.secret import Secret

__all__ = ["Token", "Tokens"]

LIFETIME = timedelta(hours=1)
"""Clients take a new token for every request when less than two minutes are left, so it must be much longer."""


class Token(msgspec.Struct, frozen=True):
    """What a token stands for. `stamp` is the user's record at that time: once that changes, the token is void."""

    user_id: str
    project_id: str | None
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    stamp: bytes
    audit_id: str


class Tokens:
    """Every valid token of this process, found by hash: a copy of this memory opens no door.

    For one thread (the event loop). A restart ends all tokens; clients then log in again by themselves.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        per_user_max: int = 1_000,
        total_max: int = 20_000,
        new_value: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        """Start empty; beyond either bound the oldest token goes."""
        self._clock = clock
        self._per_user_max = per_user_max
        self._total_max = total_max
        self._new_value = new_value
        self._tokens: dict[bytes, Token] = {}
        self._of_user: defaultdict[str, dict[bytes, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._tokens)

    def issue(
        self,
        user_id: str,
        project_id: str | None,
        *,
        stamp: bytes,
        methods: tuple[str, ...],
        expires_at: datetime | None = None,
    ) -> tuple[Secret, Token]:
        """A new token: its value, which is told once, and what it stands for. It lasts an hour or until `expires_at`."""
        now = self._clock.now()
        token = Token(
            user_id=user_id,
            project_id=project_id,
            methods=methods,
            issued_at=now,
            expires_at=expires_at or now + LIFETIME,
            stamp=stamp,
            audit_id=secrets.token_urlsafe(16),
        )
        value = Secret(self._new_value())
        self._make_room(user_id, now)
        digest = _digest(value)
        self._tokens[digest] = token
        self._of_user[user_id][digest] = None
        return value, token

    def find(self, value: Secret) -> Token | None:
        """What a value stands for, unless it is unknown, revoked or expired."""
        digest = _digest(value)
        token = self._tokens.get(digest)
        if token is not None and token.expires_at <= self._clock.now():
            self._drop(digest)
            return None
        return token

    def revoke(self, value: Secret) -> bool:
        """End a token; tells whether there was one."""
        return self._drop(_digest(value))

    def _make_room(self, user_id: str, now: datetime) -> None:
        """Drop what has expired at the old end (tokens stand in the order of issue), then what is too much."""
        while self._tokens and (
            len(self._tokens) >= self._total_max or next(iter(self._tokens.values())).expires_at <= now
        ):
            self._drop(next(iter(self._tokens)))
        while len(self._of_user[user_id]) >= self._per_user_max:
            self._drop(next(iter(self._of_user[user_id])))

    def _drop(self, digest: bytes) -> bool:
        token = self._tokens.pop(digest, None)
        if token is None:
            return False
        of_user = self._of_user[token.user_id]
        del of_user[digest]
        if not of_user:
            del self._of_user[token.user_id]
        return True


def _digest(value: Secret) -> bytes:
    return hashlib.sha256(value.reveal()).digest()
