"""Who fell silent: a guest not heard of for three beats is lost, told once, and healthy again with its next beat."""

from typing import Final
from uuid import UUID

import structlog

from muniment.clock import Clock, seconds
from muniment.domain.event import About
from muniment.domain.guest import SILENT_S, fell_silent
from muniment.domain.instance import INSTANCE
from muniment.store.chain import BrokenChain
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger
from muniment.store.writes import Poke, StillSilent

__all__ = ["Liveness"]

log = structlog.get_logger(__name__)

_ACTOR: Final = "conductor"
_BEAT_S: Final = 30.0


class Liveness:
    """Looks for guests whose silence has just become too long. A conductor's loop calls `run_once` every few seconds."""

    def __init__(self, ledger: Ledger, clock: Clock, *, silent_s: float = SILENT_S) -> None:
        """`silent_s` is how long a guest may be silent."""
        self._ledger = ledger
        self._clock = clock
        self._silent_s = silent_s
        self._looked_up_to_s = 0.0
        """Everybody last heard of before this moment has been looked at: a scan reads only who crossed the line since."""
        self._listening_since_s: float | None = None
        self._last_run_s = 0.0

    def run_once(self) -> int:
        """Record who is lost; how many were.

        Nobody is before we have listened, without a gap, for as long as a guest may be silent: an outage of ours must
        not become a false alarm about every guest.
        """
        now_s = seconds(self._clock.now())
        before_s = now_s - self._silent_s
        with self._ledger.reading() as reader:
            waiting = reader.inbox(1)
            is_behind = bool(waiting) and waiting[0].at_s < now_s - _BEAT_S
            silent = reader.last_heard(self._looked_up_to_s, before_s)
        if not self._has_listened(now_s, is_behind):
            return 0
        lost = sum([self._lose(instance_id, before_s) for instance_id in silent])
        self._looked_up_to_s = max(self._looked_up_to_s, before_s)
        return lost

    def _has_listened(self, now_s: float, is_behind: bool) -> bool:
        """Whether this process runs, and letters were read, without a gap for long enough."""
        paused = now_s - self._last_run_s > _BEAT_S
        self._last_run_s = now_s
        if self._listening_since_s is None or paused or is_behind:
            self._listening_since_s = now_s
        return now_s - self._listening_since_s >= self._silent_s

    def _lose(self, instance_id: UUID, before_s: float) -> bool:
        """Record one; False when it is lost already, going away, or was heard of meanwhile."""
        while True:
            try:
                instance = self._ledger.load(INSTANCE, instance_id)
            except BrokenChain as broken:
                # Every other guest is still worth watching.
                log.error(broken.advice, instance_id=str(instance_id), reason=broken.reason)
                return False
            events = [] if instance is None else fell_silent(instance, self._silent_s)
            if instance is None or not events:
                return False
            pokes = [Poke(occupant.operation_id) for occupant in instance.occupants]
            about = About(project_id=instance.project_id, actor=_ACTOR)
            try:
                self._ledger.save(events, about, writes=[StillSilent(instance_id, before_s), *pokes])
            except Conflict:
                if self._was_heard(instance_id, before_s):
                    return False
                continue
            log.warning("guest lost", instance_id=str(instance_id))
            return True

    def _was_heard(self, instance_id: UUID, before_s: float) -> bool:
        with self._ledger.reading() as reader:
            at_s = reader.seen_at(instance_id)
        return at_s is None or at_s >= before_s
