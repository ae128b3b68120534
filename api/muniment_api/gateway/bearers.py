"""Whose queue is opened: the password of each instance, known here by its digest alone."""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from uuid import UUID

from muniment_api.gateway.rates import Rates

__all__ = ["Bearers"]

_REMEMBERED_S: Final = 5.0
_NAMES_MAX: Final = 50_000


class Bearers:
    """Checks passwords against digests that are looked up every five seconds, also for names that have none.

    So a deleted instance's polls end within that time. A password that does not match what is remembered may be newer
    than it: then it is looked up at once, a few times a minute for each name, which bounds what a flood can cause.
    """

    def __init__(self, look_up: Callable[[UUID], bytes | None], elapsed: Callable[[], float]) -> None:
        """`look_up` finds the SHA-256 of an instance's password, or None; it may block."""
        self._look_up = look_up
        self._elapsed = elapsed
        self._known: OrderedDict[UUID, tuple[bytes | None, float]] = OrderedDict()
        self._surprises = Rates(per_s=0.2, burst=5, elapsed=elapsed)

    def admits(self, instance_id: UUID, authorization: str) -> bool:
        """Whether the value of an `Authorization` header is this instance's; may block, so it runs in a thread."""
        scheme, _, password = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        offered = sha256(password.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(instance_id)
        if known is not None and self._elapsed() < known[1]:
            if _equal(offered, known[0]):
                return True
            if self._surprises.take(str(instance_id)):
                return False
        return _equal(offered, self._renew(instance_id))

    def _renew(self, instance_id: UUID) -> bytes | None:
        digest = self._look_up(instance_id)
        self._known[instance_id] = (digest, self._elapsed() + _REMEMBERED_S)
        if len(self._known) > _NAMES_MAX:
            self._known.popitem(last=False)
        return digest


def _equal(offered: bytes, expected: bytes | None) -> bool:
    return expected is not None and hmac.compare_digest(offered, expected)
