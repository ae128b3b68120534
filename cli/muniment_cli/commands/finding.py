"""A finding of `muniment doctor`."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Finding", "Verdict"]


class Verdict(StrEnum):
    """How a finding is meant."""

    GOOD = "ok"
    NOTE = "note"
    WARN = "warn"
    """Will be wrong soon."""
    WRONG = "wrong"


class Finding(NamedTuple):
    """One thing that was looked at."""

    verdict: Verdict
    about: str
    finding: str
    next_step: str = ""
