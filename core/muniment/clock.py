"""What time it is, as a port: production reads the machine's clock, a simulation owns one of its own."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock", "ManualClock", "seconds", "moment"]


class Clock(Protocol):
    """Tells the time; the only way code below the HTTP edge may learn it."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to: for tests and for the simulator."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Stand still at `start`."""
        self._now = start

    def now(self) -> datetime:
        """The moment it was last moved to."""
        return self._now

    def advance(self, by_s: float) -> None:
        """Move `by_s` seconds forward; a negative step is a bug of the caller."""
        assert by_s >= 0, by_s
        self._now += timedelta(seconds=by_s)


def seconds(at: datetime) -> float:
    """A moment as seconds since 1970, the form in which state tables keep due times and leases."""
    return at.timestamp()


def moment(at_s: float) -> datetime:
    """The inverse of `seconds`."""
    return datetime.fromtimestamp(at_s, UTC)
