"""Which operations hold a stream: an operation occupies its subjects by an event in each of their streams and releases
them by one. Instances and backups share these events."""

from enum import StrEnum
from uuid import UUID

import msgspec

from muniment.domain.event import Event, topic

__all__ = ["Hold", "Occupant", "Occupied", "Released", "entered", "left"]


class Hold(StrEnum):
    """exclusive: the subject changes as a whole (restart, delete). shared: others may be there too (accounts, a backup)."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


class Occupant(msgspec.Struct, frozen=True):
    """An operation that has not ended."""

    operation_id: UUID
    kind: str
    """The operation's kind without its version: `restart_instance`."""
    hold: Hold


@topic("subject.occupied.1")
class Occupied(Event, frozen=True, kw_only=True):
    """An operation began to work on this stream's subject."""

    operation_id: UUID
    kind: str
    hold: Hold


@topic("subject.released.1")
class Released(Event, frozen=True, kw_only=True):
    """An operation ended or was taken over."""

    operation_id: UUID


def entered(occupants: tuple[Occupant, ...], event: Occupied) -> tuple[Occupant, ...]:
    """Occupants after `event`."""
    return (*occupants, Occupant(event.operation_id, event.kind, event.hold))


def left(occupants: tuple[Occupant, ...], event: Released) -> tuple[Occupant, ...]:
    """Occupants after `event`."""
    return tuple(o for o in occupants if o.operation_id != event.operation_id)
