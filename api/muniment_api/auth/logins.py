"""Checking a name and a password: the same work and the same answer whether the user exists or not."""

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from anyio import CapacityLimiter, to_thread

from muniment.clock import Clock
from muniment.domain.refused import Refused
from muniment.secret import Secret
from muniment_api.auth.attempts import FailedPasswords
from muniment_api.auth.identity import unauthorized
from muniment_api.auth.passwords import COST, Cost, PasswordHash
from muniment_api.auth.users import User, UsersFile

__all__ = ["Logins", "Remembered"]

_MEMORY = timedelta(minutes=10)
_HASHING_AT_ONCE = 2
_WAITING_MAX = 64


class Remembered(msgspec.Struct, frozen=True):
    """A password that was right a moment ago, as a keyed digest that is worthless outside of this process."""

    mark: bytes
    stamp: bytes
    until: datetime


class Logins:
    """Verifies passwords against the users file.

    A wrong password and an unknown user cost one hash each and give the same refusal. At most two hashes run at once, in
    threads, and 64 wait; a right password is remembered for ten minutes, so that curl in a loop is not a hash per call.
    For one event loop.
    """

    def __init__(
        self,
        users: UsersFile,
        clock: Clock,
        *,
        failed: FailedPasswords | None = None,
        matches: Callable[[PasswordHash, Secret], bool] = PasswordHash.matches,
        cost: Cost = COST,
        remembered_max: int = 1_000,
    ) -> None:
        """`cost` is that of the users file, so that an unknown user's hash takes as long as a known one's."""
        self._users = users
        self._clock = clock
        self._failed = failed or FailedPasswords(clock)
        self._matches = matches
        self._decoy = PasswordHash(
            scheme="scrypt", n=cost.n, r=cost.r, p=cost.p, salt=os.urandom(16), digest=os.urandom(32)
        )
        self._key = os.urandom(32)
        self._remembered: dict[str, Remembered] = {}
        self._remembered_max = remembered_max
        self._limiter = CapacityLimiter(_HASHING_AT_ONCE)
        self._waiting = 0

    async def verify(self, *, name: str | None, user_id: str | None, password: Secret, address: str) -> User:
        """The user who has this password; named by name or by id.

        Raises:
            Refused: 401 unknown user or wrong password; 429 too many failures, or too many log-ins waiting.
        """
        directory = self._users.directory()
        user = directory.by_id(user_id) if user_id is not None else directory.by_name(name or "")
        mark = self._mark(user.id if user else "", password)
        if user is not None and self._remembers(user, mark, directory.stamp(user.id)):
            return user
        stored = user.password if user is not None else self._decoy
        who = user.id if user is not None else f"unknown {user_id if user_id is not None else name}"
        right = await self._hashed_right(stored, password, who, address)
        if user is None or not right:
            raise unauthorized()
        stamp = directory.stamp(user.id)
        assert stamp is not None
        self._remember(user.id, Remembered(mark, stamp, self._clock.now() + _MEMORY))
        return user

    async def _hashed_right(self, stored: PasswordHash, password: Secret, who: str, address: str) -> bool:
        """Hash, bounded; failures are counted before the next waiting try is admitted, so a burst is no way around."""
        if self._waiting >= _WAITING_MAX:
            raise Refused(
                "too-many-log-ins",
                "Too many log-ins at once; try again in a moment.",
                status=429,
                details={"retry_after_s": 1},
            )
        self._waiting += 1
        try:
            async with self._limiter:
                self._failed.check(who, address)
                right = await to_thread.run_sync(self._matches, stored, password)
                if not right:
                    self._failed.record(who, address)
                return right
        finally:
            self._waiting -= 1

    def _mark(self, user_id: str, password: Secret) -> bytes:
        return hmac.digest(self._key, user_id.encode() + b"\0" + password.reveal(), hashlib.sha256)

    def _remembers(self, user: User, mark: bytes, stamp: bytes | None) -> bool:
        memory = self._remembered.get(user.id)
        return (
            memory is not None
            and memory.stamp == stamp
            and memory.until > self._clock.now()
            and hmac.compare_digest(memory.mark, mark)
        )

    def _remember(self, user_id: str, memory: Remembered) -> None:
        self._remembered.pop(user_id, None)
        while len(self._remembered) >= self._remembered_max:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[user_id] = memory
