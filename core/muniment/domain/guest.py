"""What becomes known of an instance through its guest: it enrolled, its engine is in another state, it fell silent."""

from datetime import datetime
from typing import Final

from muniment.domain.event import Event
from muniment.domain.instance import HEALTH_PACE, GuestEnrolled, HealthChanged, Instance, Lifecycle

__all__ = ["HEALTH_BURST", "LOST", "SILENT_S", "enrolled", "fell_silent", "health_beaten", "health_reported"]

SILENT_S: Final = 90.0
"""Three beats of 30 s: after so long without one a guest counts as lost."""
LOST: Final = "lost"
HEALTH_BURST: Final = 10
"""So many changes of health in a row are recorded as they come, as in a few restarts; then one per `HEALTH_PACE`."""
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
    """Decide on what an operation learnt of the engine: an event only when it is another state than before."""
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


def health_beaten(instance: Instance, state: str, detail: str, now: datetime) -> list[Event]:
    """Decide on what the guest says unasked of its engine: as `health_reported`, but not arbitrarily often.

    An event is for ever and is read at each load, so a guest whose health flickers, or that lies, must not make them
    without end. What is passed over here a later beat tells again: each holds the health as it is then.
    """
    paced_to, changed_at = instance.health_paced_to, instance.health_changed_at
    # A clock that was turned back, so that the last change is yet to come, must not mute a guest until then.
    is_clock_sane = changed_at is not None and changed_at <= now
    if is_clock_sane and paced_to is not None and paced_to - now > HEALTH_PACE * (HEALTH_BURST - 1):
        return []
    return health_reported(instance, state, detail)


def fell_silent(instance: Instance, silent_s: float) -> list[Event]:
    """Decide that the guest is lost, once."""
    return health_reported(instance, LOST, f"nothing heard for {silent_s:.0f} s")
