"""Waiting for a condition, with a limit."""

import time
from collections.abc import Callable

__all__ = ["Broken", "wait_for"]

_LOOK_S = 0.2


class Broken(Exception):
    """What was promised does not hold; the message says what was seen instead."""


def wait_for(what: str, true: Callable[[], object], *, limit_s: float) -> float:
    """Look again and again until it is so; the seconds that took.

    Raises:
        Broken: it is not so after the limit.
    """
    began_s = time.monotonic()
    while not true():
        if time.monotonic() - began_s > limit_s:
            raise Broken(f"not within {limit_s:.0f} s: {what}")
        time.sleep(_LOOK_S)
    return time.monotonic() - began_s
