"""Which `status` and `operating_status` a user sees: derived from the history, never stored as truth.

The precedence is Trove's, row by row (`trove-internals.md` 0.5, `trove-api.md` 4.1 and 4.2), with the agreed deviations.
"""

from muniment.domain.instance import Instance, Lifecycle
from muniment.domain.occupancy import Hold

__all__ = ["operating_status_of", "status_of"]

_TASK_STATUS = {"restart_instance": "REBOOT", "create_instance": "BUILD", "resize_volume": "RESIZE"}
_OPERATING = {
    "healthy": "HEALTHY",
    "starting": "ACTIVE",
    "stopped": "SHUTDOWN",
    "crashed": "SHUTDOWN",
    "unknown": "ERROR",
    "lost": "ERROR",
}


def status_of(instance: Instance) -> str:
    """The `status` of an instance; the first condition that holds decides."""
    if instance.lifecycle is Lifecycle.FAILED:
        return "ERROR"
    if instance.lifecycle is Lifecycle.BUILDING:
        return "BUILD"
    for occupant in instance.occupants:
        if occupant.kind in _TASK_STATUS:
            return _TASK_STATUS[occupant.kind]
    if instance.lifecycle in (Lifecycle.DELETING, Lifecycle.DELETED):
        return "SHUTDOWN"
    if instance.occupied_by("create_backup"):
        return "BACKUP"
    return "ACTIVE"


def operating_status_of(instance: Instance) -> str:
    """The `operating_status`: the engine's health by its Trove name, empty while a task runs or the instance is not active."""
    if instance.lifecycle is not Lifecycle.ACTIVE or any(
        o.hold is Hold.EXCLUSIVE for o in instance.occupants
    ):
        return ""
    return _OPERATING.get(instance.health, "ERROR")
