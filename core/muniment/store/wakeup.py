"""Waking readers of this process when a save is committed."""

from threading import Condition

__all__ = ["Wakeup"]


class Wakeup:
    """Counts commits, so that one that comes between looking and waiting is not slept through."""

    def __init__(self) -> None:
        """Begin at no commits."""
        self.commits = 0
        self._condition = Condition()

    def notify(self) -> None:
        """A save was committed."""
        with self._condition:
            self.commits += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout_s: float) -> None:
        """Return when there are more commits than `seen`, or after `timeout_s`."""
        with self._condition:
            self._condition.wait_for(lambda: self.commits != seen, timeout_s)
