"""How often each caller may ask: one token bucket a name, for a bounded number of names."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

__all__ = ["Rates"]

_NAMES_MAX: Final = 50_000


class Rates:
    """Token buckets by name, all of one rate and size."""

    def __init__(self, per_s: float, burst: int, elapsed: Callable[[], float]) -> None:
        """Allow `burst` at once and `per_s` a second from then on; `elapsed` is a clock that never goes back, in s."""
        self._per_s = per_s
        self._burst = burst
        self._elapsed = elapsed
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one; 0 when it was there, else how long to wait for it (and nothing was taken)."""
        now_s = self._elapsed()
        tokens, at_s = self._buckets.pop(name, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + (now_s - at_s) * self._per_s)
        allowed = tokens >= 1
        self._buckets[name] = (tokens - 1 if allowed else tokens, now_s)
        # The bucket forgotten is the one idle for longest, which is the one most likely full again.
        if len(self._buckets) > _NAMES_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_s
