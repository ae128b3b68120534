"""Keeps the engine running while it is meant to run."""

from collections.abc import Callable
from typing import Final

import structlog

from muniment.contract.errors import OpFailed

__all__ = ["EngineKeeper"]

log = structlog.get_logger()

_WAIT_S: Final = 1.0
_WAIT_S_MAX: Final = 60.0
_STEADY_S: Final = 60.0
"""An engine that ran so long starts its back-off anew."""


class EngineKeeper:
    """Starts an engine that is down and should not be, ever more slowly while that does not help."""

    def __init__(self, start: Callable[[], object], *, elapsed: Callable[[], float]) -> None:
        """`start` is the driver's; it returns when SQL answers."""
        self._start = start
        self._elapsed = elapsed
        self._tries = 0
        self._next = 0.0
        self._up_since: float | None = None
        self.has_died = False
        """Whether it is down although it was up, or was started in vain, in this run of the agent."""

    def notice(self, *, is_wanted: bool, is_running: bool, is_busy: bool) -> bool:
        """See how it is; whether it is time to `start` it. `is_busy`: a command may be at work on it."""
        now = self._elapsed()
        if is_running or not is_wanted:
            self._note_up(now, is_running=is_running)
            return False
        if self._up_since is not None:
            log.warning("engine died", up_s=round(now - self._up_since, 1))
            self._up_since = None
            self.has_died = True
        return not is_busy and now >= self._next

    def start(self) -> None:
        """Try to start it; when that fails, the next time is later."""
        self._tries += 1
        self._next = self._elapsed() + min(_WAIT_S * 2.0 ** (min(self._tries, 10) - 1), _WAIT_S_MAX)
        try:
            self._start()
        except OpFailed as failed:
            self.has_died = True
            log.warning("engine does not start", tries=self._tries, reason=failed.error.message)
            return
        log.info("engine started again", tries=self._tries)
        self.has_died = False
        self._up_since = self._elapsed()

    def _note_up(self, now: float, *, is_running: bool) -> None:
        if not is_running:
            self._tries, self._next, self._up_since, self.has_died = 0, 0.0, None, False
            return
        self.has_died = False
        if self._up_since is None:
            self._up_since = now
        if now - self._up_since >= _STEADY_S:
            self._tries, self._next = 0, 0.0
