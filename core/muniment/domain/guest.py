"""What becomes known of an instance through its guest: it enrolled, its engine is in another state, it fell silent."""

from typing import Final

from muniment.domain.event import Event
from muniment.domain.instance import GuestEnrolled, HealthChanged, Instance, Lifecycle

__all__ = ["LOST", "SILENT_S", "enrolled", "fell_silent", "health_reported"]

SILENT_S: Final = 90.0
"""Three beats of 30 s: after so long without one a guest counts as lost."""
LOST: Final = "lost"
_DETAIL_MAX: Final = 500
_LEAVING: Final = frozenset({Lifecycle.DELETING, Lifecycle.DELETED})


def enrolled(instance: Instance, server_id: str, key_epoch: int) -> list[Event]:
    """Decide that the guest on this server proved itself; nothing of an instance that is going away."""
    if instance.lifecycle in _LEAVING:
        return []
    return [
        GuestEnrolled(
            originator_id=instance.id,
            originator_version=instance.version + 1,
            server_id=server_id,
            key_epoch=key_epoch,
        )
    ]


def health_reported(instance: Instance, state: str, detail: str) -> list[Event]:
    """Decide on what the guest says of its engine: an event only when it is another state than before."""
    if instance.lifecycle in _LEAVING or instance.health == state:
        return []
    return [
        HealthChanged(
            originator_id=instance.id,
            originator_version=instance.version + 1,
            state=state,
            detail=detail[:_DETAIL_MAX],
        )
    ]


def fell_silent(instance: Instance, silent_s: float) -> list[Event]:
    """Decide that the guest is lost, once."""
    return health_reported(instance, LOST, f"nothing heard for {silent_s:.0f} s")
