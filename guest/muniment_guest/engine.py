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

    def tend(self, *, is_wanted: bool, is_running: bool, is_busy: bool) -> bool:
        """Start the engine if its time has come; whether a start was tried. `is_busy`: a command may be at work on it."""
        now = self._elapsed()
        if is_running or not is_wanted:
            self._note_up(now, is_running=is_running)
            return False
        if self._up_since is not None:
            log.warning("engine died", up_s=round(now - self._up_since, 1))
            self._up_since = None
        if is_busy or now < self._next:
            return False
        self._try(now)
        return True

    def _note_up(self, now: float, *, is_running: bool) -> None:
        if not is_running:
            self._tries, self._next, self._up_since = 0, 0.0, None
            return
        if self._up_since is None:
            self._up_since = now
        if now - self._up_since >= _STEADY_S:
            self._tries, self._next = 0, 0.0

    def _try(self, now: float) -> None:
        self._tries += 1
        self._next = now + min(_WAIT_S * 2.0 ** (min(self._tries, 10) - 1), _WAIT_S_MAX)
        try:
            self._start()
        except OpFailed as failed:
            log.warning("engine does not start", tries=self._tries, reason=failed.error.message)
            return
        log.info("engine started again", tries=self._tries)
        self._up_since = self._elapsed()
