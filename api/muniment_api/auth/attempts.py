"""Failed passwords, counted per user and address, so that guessing is slow and nobody is locked out for good."""

import ipaddress
import math
from collections import deque

from muniment.clock import Clock, seconds
from muniment.domain.refused import Refused

__all__ = ["FailedPasswords"]

_WINDOW_S = 60.0


class FailedPasswords:
    """Failures of the last minute: at most ten for one user from one address, sixty from one address altogether.

    The second bound is against trying one password on many names. Another address is not affected, so nobody can lock a
    user out from elsewhere. For one thread (the event loop).
    """

    def __init__(
        self, clock: Clock, *, per_user_max: int = 10, per_address_max: int = 60, tracked_max: int = 10_000
    ) -> None:
        """Start with none; of more than `tracked_max` pairs the oldest is forgotten."""
        self._clock = clock
        self._per_user_max = per_user_max
        self._per_address_max = per_address_max
        self._tracked_max = tracked_max
        self._failures: dict[tuple[str, str], deque[float]] = {}

    def check(self, user: str, address: str) -> None:
        """Refuse another try when there were too many.

        Raises:
            Refused: 429, with the time after which a try is heard again.
        """
        network = _network(address)
        wait_s = max(
            self._wait_s((user, network), self._per_user_max),
            self._wait_s(("", network), self._per_address_max),
        )
        if wait_s > 0:
            raise Refused(
                "too-many-failed-passwords",
                f"Too many failed passwords; try again in {math.ceil(wait_s)} s.",
                status=429,
                details={"retry_after_s": math.ceil(wait_s)},
            )

    def record(self, user: str, address: str) -> None:
        """Count one failure."""
        network = _network(address)
        for key in ((user, network), ("", network)):
            failures = self._failures.pop(key, None) or deque(maxlen=self._per_address_max)
            failures.append(seconds(self._clock.now()))
            while len(self._failures) >= self._tracked_max:
                del self._failures[next(iter(self._failures))]
            self._failures[key] = failures

    def _wait_s(self, key: tuple[str, str], limit: int) -> float:
        failures = self._failures.get(key)
        if failures is None or len(failures) < limit:
            return 0.0
        return failures[-limit] + _WINDOW_S - seconds(self._clock.now())


def _network(address: str) -> str:
    """Who is counted as one: an IPv4 address, or the /64 that an IPv6 host may choose its addresses from."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
