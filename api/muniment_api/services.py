"""What the resources work with; the composition root fills it."""

from dataclasses import dataclass

__all__ = ["Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """The ports and read models behind the API."""
