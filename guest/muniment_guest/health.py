"""What the guest says of itself unasked: in full when something changed and now and then, else that it lives and how."""

from collections.abc import Callable
from typing import Final

import msgspec

from muniment.contract.messages import Beat, Health, HealthState

__all__ = ["HealthWatch", "Pulse"]

_PROBE_S: Final = 5.0
_PASSING_PROBE_S: Final = 0.5
"""While the engine starts, so that it is known soon when it answers."""
_BEAT_S: Final = 30.0
_FULL_S: Final = 600.0


class HealthWatch:
    """Asks the engine how it is, every few seconds, and notices changes."""

    def __init__(self, probe: Callable[[], Health], *, elapsed: Callable[[], float]) -> None:
        """`probe` is the driver's: a real query."""
        self._probe = probe
        self._elapsed = elapsed
        self._next = 0.0
        self._was_running = False
        self.health = Health(state=HealthState.UNKNOWN)

    def tend(
        self, *, is_wanted: bool, is_running: bool, has_died: bool = False, at_once: bool = False
    ) -> bool:
        """Probe if it is time, or `at_once`; whether something changed that others should know.

        `has_died` tells a crash from an engine that was not started yet since the machine's start.
        """
        now = self._elapsed()
        if now < self._next and not at_once and is_running == self._was_running:
            return False
        self._was_running = is_running
        found = self._look(is_wanted=is_wanted, is_running=is_running, has_died=has_died)
        is_passing = found.state in (HealthState.STARTING, HealthState.CRASHED)
        self._next = now + (_PASSING_PROBE_S if is_passing else _PROBE_S)
        changed = _matter(found) != _matter(self.health)
        self.health = found
        return changed

    def due_in_s(self) -> float:
        """How long until the next probe, in seconds."""
        return max(0.0, self._next - self._elapsed())

    def _look(self, *, is_wanted: bool, is_running: bool, has_died: bool) -> Health:
        if is_running:
            return self._probe()
        if is_wanted and not has_died:
            return Health(state=HealthState.STARTING)
        if is_wanted:
            return Health(state=HealthState.CRASHED, detail="the engine died; it is being started again")
        return Health(state=HealthState.STOPPED)


class Pulse:
    """When to send a beat, and how much of it."""

    def __init__(self, *, elapsed: Callable[[], float]) -> None:
        """The first one is due at once, and in full."""
        self._elapsed = elapsed
        self._next_beat = 0.0
        self._next_full = 0.0

    def beat(self, make: Callable[[], Beat], *, changed: bool) -> Beat | None:
        """The beat that is due, if one is; `make` makes a full one."""
        now = self._elapsed()
        is_full = changed or now >= self._next_full
        if not is_full and now < self._next_beat:
            return None
        self._next_beat = now + _BEAT_S
        if is_full:
            self._next_full = now + _FULL_S
            return make()
        # Health is in every beat: the control plane passes over changes that come too fast, and counts the silent as lost.
        return msgspec.structs.replace(make(), volume=None, rejected={})

    def due_in_s(self) -> float:
        """How long until the next beat, in seconds."""
        return max(0.0, self._next_beat - self._elapsed())


def _matter(health: Health) -> tuple[object, ...]:
    """What of a health is news; how long it has been up is not."""
    return (
        health.state,
        health.server_version,
        health.read_only,
        "" if health.state is HealthState.HEALTHY else health.detail,
    )
