"""Faults by chance: everything that may go wrong, how often, and how often it did."""

from collections import Counter
from random import Random

__all__ = ["FAULTS", "NETWORK_FAULTS", "Chance", "Crash"]


class Crash(BaseException):
    """A process dies here. Not an Exception: no code of the process may catch it."""


NETWORK_FAULTS = {
    "drop": 0.15,
    "repeat": 0.15,
    "reorder": 0.15,
    "delay": 0.1,
    "corrupt": 0.05,
}
"""Of messages; the highest rates that a seed draws."""

FAULTS = {
    **NETWORK_FAULTS,
    "cut": 0.01,
    "cloud_refuses": 0.1,
    "cloud_silent_done": 0.1,
    "cloud_silent_later": 0.1,
    "cloud_silent_never": 0.1,
    "cloud_errored": 0.1,
    "cloud_slow": 0.15,
    "cloud_keeps": 0.2,
    "engine_refuses": 0.05,
    "lost_before_commit": 0.03,
    "lost_after_commit": 0.03,
    "foreign_event": 0.05,
    "crash": 0.01,
    "stall": 0.02,
    "stall_after_find": 0.05,
    "crash_guest": 0.04,
    "crash_courier": 0.01,
}
"""All faults with the highest rate that a seed draws for them."""


class Chance:
    """The one source of randomness of a run, and the book of what went wrong in it."""

    def __init__(self, random: Random, rates: dict[str, float] | None = None) -> None:
        """Draw from `random`; without `rates` nothing goes wrong."""
        self.random = random
        self.rates = rates or {}
        self.counts: Counter[str] = Counter()

    @classmethod
    def drawn(cls, random: Random) -> "Chance":
        """Each fault in half of the seeds, at a rate of its own; so that some seeds are calm in one place and wild in
        another."""
        rates = {
            fault: random.uniform(0.2, 1.0) * highest
            for fault, highest in FAULTS.items()
            if random.random() < 0.5
        }
        return cls(random, rates)

    def happens(self, fault: str) -> bool:
        """Whether it goes wrong here and now."""
        rate = self.rates.get(fault, 0.0)
        if rate == 0.0 or self.random.random() >= rate:
            return False
        self.counts[fault] += 1
        return True

    def calm(self) -> None:
        """Nothing goes wrong from here on."""
        self.rates = {}
