"""Read-your-writes: wait until the read models have passed a log position."""

import time
from threading import Condition

from muniment_projections.read_model import ReadModel, ReadModelMissing

__all__ = ["POLL_S", "Arrivals"]

POLL_S = 0.05
"""How often the position is looked up while nothing is heard: the projector may be another process."""


class Arrivals:
    """Tells those who wait that the read models moved on.

    A projector of this process says so at once; the position in the database is asked for now and then besides, since a
    projector of another process cannot.
    """

    def __init__(self, read_model: ReadModel, *, poll_s: float = POLL_S) -> None:
        """Watch `read_model`."""
        self._read_model = read_model
        self._poll_s = poll_s
        self._position = 0
        self._condition = Condition()

    def advanced(self, position: int) -> None:
        """The projector committed everything up to `position`."""
        with self._condition:
            self._position = max(self._position, position)
            self._condition.notify_all()

    def wait_for(self, position: int, timeout_s: float) -> bool:
        """Whether the read models tell everything up to `position`, waiting for it up to `timeout_s`."""
        end = time.monotonic() + timeout_s
        while True:
            if self._has_passed(position):
                return True
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            with self._condition:
                self._condition.wait_for(lambda: self._position >= position, min(left_s, self._poll_s))

    def _has_passed(self, position: int) -> bool:
        if self._position >= position:
            return True
        try:
            self.advanced(self._read_model.position())
        except ReadModelMissing:
            return False  # what was saved is saved; its keeper builds them anew
        return self._position >= position
