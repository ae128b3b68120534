"""The worker: it holds the claim of an operation and drives it turn by turn until nothing can be done now."""

import os
from collections.abc import Callable, Mapping
from uuid import UUID

from muniment.bus.enrolment import TOKEN_BYTES
from muniment.clock import Clock, seconds
from muniment.dispatch.guest_keys import GuestKeys
from muniment.domain.event import About
from muniment.domain.operation import Operation
from muniment.fault import Fault
from muniment.operations.calls import Enrolment, Observation
from muniment.operations.performing import Performer
from muniment.operations.plan import Plan
from muniment.operations.scene import Knowledge
from muniment.operations.steps import Definition
from muniment.operations.turn import turn
from muniment.operations.view import View, load_view
from muniment.secret import Secret
from muniment.store.conflict import ClaimLost, Conflict
from muniment.store.ledger import Claim, Ledger
from muniment.store.writes import EndOperation, RenewClaim, Requeue, Write

__all__ = ["Worker"]

_TRIES_MAX = 20
"""Of one save. Conflicts with other writers of a subject are rare and short; so many in a row are a bug, and then the claim
is left to run out."""


class Worker:
    """Drives claimed operations. Synchronous; has no state beside its ports, so one serves all operations of a process."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        catalogue: Mapping[str, Definition],
        knowledge: Knowledge,
        performer: Performer,
        guest_keys: GuestKeys,
        clock: Clock,
        new_id: Callable[[], UUID],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`catalogue` holds the definitions by kind; `random` draws enrolment tokens."""
        self._ledger = ledger
        self._catalogue = catalogue
        self._knowledge = knowledge
        self._performer = performer
        self._guest_keys = guest_keys
        self._clock = clock
        self._new_id = new_id
        self._random = random

    def drive(self, claim: Claim) -> None:
        """Run turns on a claimed operation until nothing can be done now.

        Raises:
            ClaimLost: another owns it by now, or it has ended; everything seen is dropped.
            Conflict, Fault: the save failed too often; the claim runs out by itself.
        """
        observed: dict[str, Observation] = {}
        plan: Plan | None = None
        while True:
            plan = self._save_turn(claim, observed, plan)
            if not plan.calls:
                return  # that save also gave the claim back, or ended the operation
            observed = self._perform(claim, plan)

    def _perform(self, claim: Claim, plan: Plan) -> dict[str, Observation]:
        """Make the plan's calls, one after the other."""
        about = _about(plan.operation)

        def open_enrolment(wanted: Enrolment) -> Secret:
            return self._open_enrolment(claim, about, wanted)

        return {
            step: self._performer.perform(call, open_enrolment=open_enrolment)
            for step, call in plan.calls.items()
        }

    def _save_turn(self, claim: Claim, observed: Mapping[str, Observation], last: Plan | None) -> Plan:
        """Decide and save one turn: after a conflict with a fresh view, the same observations and the same batch id."""
        batch = self._new_id()
        version = last.operation.version if last is not None else None
        plan: Plan | None = None
        for left in reversed(range(_TRIES_MAX)):
            view, is_stored = self._load(claim, batch)
            if plan is not None and is_stored:
                return plan  # its acknowledgement was lost, nothing else
            # Every save names the claim, so a version that moved means that the claim is lost; asserted by `Requeue` and
            # its kin, but a worker that loads late must not even decide.
            if version is not None and view.operation.version != version:
                raise ClaimLost(f"operation {claim.operation_id} moved")
            if plan is None:
                version = view.operation.version
            now_s = seconds(self._clock.now())
            definition = self._catalogue[view.operation.kind]
            waits = last.waits if last is not None else {}
            plan = turn(definition, view, observed, self._knowledge, now_s, waits)
            writes = [*plan.writes, self._claim_write(claim, plan, view)]
            try:
                self._ledger.save(plan.events, _about(plan.operation), writes=writes, batch=batch)
            except Conflict:
                if left == 0:
                    raise
            except Fault as fault:
                if left == 0 or not fault.retryable:
                    raise
            else:
                return plan
        raise AssertionError("at least one try")

    def _load(self, claim: Claim, batch: UUID) -> tuple[View, bool]:
        with self._ledger.reading() as reader:
            row = reader.queue_row(claim.operation_id)
            is_stored = reader.batch(batch) is not None
            if not is_stored and (row is None or row.is_done or row.claim_no != claim.claim_no):
                raise ClaimLost(f"claim {claim.claim_no} of operation {claim.operation_id} is over")
            return load_view(reader, claim.operation_id), is_stored

    def _claim_write(self, claim: Claim, plan: Plan, view: View) -> Write:
        """What becomes of the claim: each save names its number, which is the fence."""
        if plan.is_ended:
            return EndOperation(claim.operation_id, claim.claim_no)
        if plan.calls:
            lease_until_s = plan.now_s + self._knowledge.timing.lease_s
            return RenewClaim(claim.operation_id, claim.claim_no, lease_until_s)
        return Requeue(claim.operation_id, claim.claim_no, plan.due_s(), view.pokes)

    def _open_enrolment(self, claim: Claim, about: About, wanted: Enrolment) -> Secret:
        """Draw the token of a guest that is about to be born, under the fence of the claim: a worker that lost it must not
        overwrite the token of the guest that its successor has made."""
        token = Secret(self._random(TOKEN_BYTES))
        times = self._knowledge.timing
        now_s = seconds(self._clock.now())
        opened = self._guest_keys.open_enrolment(
            wanted.instance_id, wanted.key_epoch, token, now_s + times.enrolment_s
        )
        renewed = RenewClaim(claim.operation_id, claim.claim_no, now_s + times.lease_s)
        self._ledger.save([], about, writes=[opened, renewed])
        return token


def _about(operation: Operation) -> About:
    return About(
        project_id=operation.project_id,
        actor="taskmanager",
        request_id=operation.request_id,
        causation_id=operation.id,
    )
