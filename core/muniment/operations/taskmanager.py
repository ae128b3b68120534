"""The taskmanager: the role that drives operations. Its outermost loop calls `run_once`; it starts no thread."""

import structlog

from muniment.clock import Clock, seconds
from muniment.fault import Fault
from muniment.operations.worker import Worker
from muniment.store.chain import BrokenChain
from muniment.store.conflict import ClaimLost, Conflict
from muniment.store.ledger import Ledger

__all__ = ["TaskManager"]

log = structlog.get_logger(__name__)

_IDLE_S = 60.0
"""How far ahead the next look is when nothing is queued at all."""


class TaskManager:
    """Claims operations that are due and drives each until nothing can be done now."""

    def __init__(self, ledger: Ledger, worker: Worker, clock: Clock, *, owner: str, lease_s: float) -> None:
        """`owner` names this process in the queue, for operators; `lease_s` as in the worker's timing."""
        self._ledger = ledger
        self._worker = worker
        self._clock = clock
        self._owner = owner
        self._lease_s = lease_s

    def run_once(self) -> float:
        """Drive everything that is due; when the next is, in seconds since 1970.

        A poke makes an operation due earlier, so a loop looks again when the store's wake-up says that something was
        saved, or, for other processes' saves, after a fraction of a second.

        Raises:
            Fault: the store cannot be used now.
        """
        while self._drive_one():
            pass
        return self.next_due_s()

    def next_due_s(self) -> float:
        """When the next operation is due or its lease ends; never more than a minute ahead."""
        now_s = seconds(self._clock.now())
        with self._ledger.reading() as reader:
            waiting = reader.queue()
        return min([max(row.due_s, row.lease_until_s) for row in waiting] + [now_s + _IDLE_S])

    def _drive_one(self) -> bool:
        claim = self._ledger.claim(self._owner, lease_s=self._lease_s)
        if claim is None:
            return False
        try:
            self._worker.drive(claim)
        except ClaimLost as lost:
            log.info("claim lost", operation_id=str(claim.operation_id), reason=str(lost))
        except (Conflict, Fault) as trouble:
            # The claim is left to run out: a pause before the next try, and nobody spins.
            log.warning("operation put off", operation_id=str(claim.operation_id), reason=str(trouble))
        except BrokenChain as broken:
            log.error(broken.advice, operation_id=str(claim.operation_id), kind=claim.kind)
        except Exception:
            # A bug in one operation's steps must not stop all the others; its claim runs out and it is tried again.
            log.exception("operation trips a bug", operation_id=str(claim.operation_id), kind=claim.kind)
        return True
