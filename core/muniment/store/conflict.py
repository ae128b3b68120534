"""Why a save did not happen: somebody else was there first. Nothing was written; what to do next is in each class."""

__all__ = ["ClaimLost", "Conflict", "InstanceBusy", "NotSaved"]


class NotSaved(Exception):
    """The save was rolled back whole because the world had moved since it was decided."""


class Conflict(NotSaved):
    """A stream or a guarded row moved: reload and decide again."""


class InstanceBusy(Conflict):
    """The instance has an unanswered command already: reload and decide again, it may be answered by then."""


class ClaimLost(NotSaved):
    """Another process owns the operation now, or it has ended: drop everything."""
