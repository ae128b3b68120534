"""The outermost loop of a role: calls its step again and again, survives its faults, and stops when told."""

import threading
import time
from collections.abc import Callable

import structlog

from muniment.store.chain import BrokenChain
from muniment.store.wakeup import Wakeup

__all__ = ["Loop"]

log = structlog.get_logger(__name__)

_BACK_OFF_S = 0.5
_BACK_OFF_MAX_S = 15.0
_JOIN_S = 20.0


class Loop:
    """Runs one role's step in a thread of its own.

    The step returns how long it may be left alone, in seconds; a commit of the store wakes it earlier, unless the loop only
    follows the clock. A step that
    raises is logged with its cause and called again after a pause that grows: what it works on is in the store, so
    nothing is lost by dropping what it had in hand.
    """

    def __init__(
        self, name: str, wakeup: Wakeup, step: Callable[[], float], *, is_woken: bool = True
    ) -> None:
        """`name` is the role's, for logs and health."""
        self.name = name
        self.failure = ""
        """Why the last step failed; empty when it did not."""
        self._wakeup = wakeup
        self._is_woken = is_woken
        self._step = step
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether its thread lives."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the loop to end after the step it is in."""
        self._stopping = True
        self._wakeup.notify()

    def join(self) -> bool:
        """Wait for the end; False if the step does not come back."""
        self._thread.join(_JOIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            seen = self._wakeup.commits
            try:
                idle_s = self._step()
                failures, self.failure = 0, ""
            except BrokenChain as broken:
                failures += 1
                self.failure = broken.advice
                log.error(broken.advice, role=self.name, failures=failures)
                self._back_off(failures)
                continue
            except Exception as error:
                failures += 1
                self.failure = str(error) or type(error).__name__
                log.error("role's step failed", role=self.name, failures=failures, exc_info=error)
                self._back_off(failures)
                continue
            if not self._is_woken:
                self._pause(idle_s)
            elif idle_s > 0 and not self._stopping:
                self._wakeup.wait(seen, idle_s)

    def _back_off(self, failures: int) -> None:
        self._pause(min(_BACK_OFF_S * 2.0 ** min(failures - 1, 10), _BACK_OFF_MAX_S))

    def _pause(self, pause_s: float) -> None:
        """Let time pass; only a stop cuts it short. After a fault, or every commit would try again at once."""
        end_s = time.monotonic() + pause_s
        while not self._stopping and (left_s := end_s - time.monotonic()) > 0:
            self._wakeup.wait(self._wakeup.commits, left_s)
