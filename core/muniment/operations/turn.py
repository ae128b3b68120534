"""The one decision of the engine: an operation as it is, and what its calls brought, become a plan.

Everything an operation ever decides is decided here, in this order: conclude what was observed, hear what came from
outside, advance, turn round, unwind, end. It calls nothing and sleeps never, so it can be called again with the same
observations after a conflict: nothing seen is lost, nothing stale is decided.
"""

from collections.abc import Mapping, Sequence

from muniment.domain.instance import EpochRaised
from muniment.domain.occupancy import Released
from muniment.domain.operation import (
    CancelRequested,
    Completed,
    End,
    Phase,
    Progress,
    UndoIntended,
    UndoProgress,
    UnwindingStarted,
)
from muniment.domain.resources import Role
from muniment.operations.answers import CANCEL
from muniment.operations.calls import Observation
from muniment.operations.cloud_steps import Remove
from muniment.operations.plan import Plan
from muniment.operations.scene import Knowledge
from muniment.operations.steps import NONE, Definition, Ending, Failure, Step
from muniment.operations.view import View
from muniment.store.state import SignalRow
from muniment.store.writes import UseSignals

__all__ = ["turn"]


def turn(
    definition: Definition,
    view: View,
    observed: Mapping[str, Observation],
    knowledge: Knowledge,
    now_s: float,
    waits: Mapping[str, float] | None = None,
) -> Plan:
    """Decide one turn of an operation: pure, total, and safe to call again.

    `observed` holds, by step, what the calls of the last plan brought, `waits` that plan's waits. The plan's events and
    writes are saved together; then its calls are made and the next turn follows, or, without calls, the operation sleeps
    until `due_s` or a poke.
    """
    plan = Plan(view, knowledge, now_s, waits or {})
    steps = {step.name: step for step in definition.place(plan.scene)}
    assert tuple(steps) == tuple(view.operation.steps), (
        f"{definition.kind} has other steps now than when {view.operation.id} was started; make a new version of it"
    )
    return _Turn(definition, steps, plan, observed).take(view.signals)


class _Turn:
    """One turn while it is decided."""

    def __init__(
        self,
        definition: Definition,
        steps: Mapping[str, Step],
        plan: Plan,
        observed: Mapping[str, Observation],
    ) -> None:
        self.definition = definition
        self.steps = steps
        self.plan = plan
        self.observed = observed

    def take(self, signals: Sequence[SignalRow]) -> Plan:
        was_forward = self._is_forward
        for name, observation in self.observed.items():
            self._conclude(name, observation)
        for signal in signals:
            self._hear(signal)
        if signals:
            self.plan.write(UseSignals(tuple(signal.id for signal in signals)))
        if self._is_forward and not self._must_turn_round():
            self._advance()
        if self._is_forward and self._must_turn_round():
            self._turn_round()
        if self.plan.is_unwinding:
            self._unwind()
        self._end_if_finished()
        if was_forward and not self._is_forward:
            self.plan.leave_line()
        return self.plan

    @property
    def _is_forward(self) -> bool:
        return self.plan.operation.phase is Phase.FORWARD

    # -- what happened ---------------------------------------------------------------------------------------------

    def _conclude(self, name: str, observation: Observation) -> None:
        step = self.steps[name]
        if not self.plan.is_unwinding:
            step.kind.conclude(self.plan, step, observation)
        elif self.plan.step(name).undo is UndoProgress.PENDING:
            assert not isinstance(step.undo, NONE)
            step.undo.conclude(self.plan, step, observation)

    def _hear(self, signal: SignalRow) -> None:
        """A signal counts for the step that awaits it; any other is dropped, as a late or a second copy."""
        if signal.kind == CANCEL:
            self._cancel()
            return
        for name, state in self.plan.with_progress(Progress.PENDING).items():
            if state.command_id is not None and state.command_id == signal.command_id:
                self.steps[name].kind.hear(self.plan, self.steps[name], signal)

    def _cancel(self) -> None:
        operation = self.plan.operation
        if not self._is_forward or operation.is_cancelled or not self.definition.is_cancellable:
            return
        self.plan.say(CancelRequested(originator_id=operation.id, originator_version=0))
        for name in self.plan.with_progress(Progress.PENDING):
            self.steps[name].kind.cancel(self.plan, self.steps[name])

    # -- forward ---------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Every step that is ready begins, every pending one without an observation is polled; again, while one moves."""
        polled: set[str] = set(self.observed)
        progressed = True
        while progressed and not self._must_turn_round():
            progressed = False
            for name, step in self.steps.items():
                if self._must_turn_round():
                    return  # a poll has just given up: nothing more begins beside a command that may yet have its effect
                before = self.plan.step(name).progress
                self._begin_or_poll(name, step, polled)
                progressed |= self.plan.step(name).progress is not before

    def _begin_or_poll(self, name: str, step: Step, polled: set[str]) -> None:
        state = self.plan.step(name)
        if state.progress is Progress.PENDING and name not in self.plan.calls:
            if name not in polled and not self.plan.is_waiting(name):
                polled.add(name)
                step.kind.poll(self.plan, step)
        elif state.progress is Progress.WAITING and self._is_ready(step):
            if state.retry_at_s is not None and state.retry_at_s > self.plan.now_s:
                self.plan.wait(name, state.retry_at_s)
            else:
                polled.add(name)
                step.kind.begin(self.plan, step)

    def _is_ready(self, step: Step) -> bool:
        return all(self.plan.step(name).progress is Progress.SUCCEEDED for name in step.after)

    # -- turning round ---------------------------------------------------------------------------------------------

    def _must_turn_round(self) -> bool:
        operation = self.plan.operation
        if self._has_succeeded():
            return False
        return operation.is_cancelled or bool(self.plan.with_progress(Progress.FAILED, Progress.GIVEN_UP))

    def _turn_round(self) -> None:
        """Begin to unwind, but only when no command may still have an effect: nothing undoes it after the end."""
        unsettled = [n for n in self.plan.with_progress(Progress.PENDING) if self.steps[n].kind.is_command]
        for name in unsettled:
            self.steps[name].kind.poll(self.plan, self.steps[name])
        if any(not self.plan.step(name).is_settled for name in unsettled):
            return
        self.plan.calls.clear()  # intents of this very turn: their calls are not made, and their undo looks all the same
        unsure = tuple(self.plan.with_progress(Progress.GIVEN_UP))
        if self.plan.instance is not None and (unsure or self._removes_server()):
            # Same save: whatever is still on its way to the guest, or runs there, is stale from here on.
            epoch = self.plan.instance.epoch + 1
            self.plan.say(EpochRaised(originator_id=self.plan.instance.id, originator_version=0, epoch=epoch))
        self.plan.say(
            UnwindingStarted(
                originator_id=self.plan.operation.id,
                originator_version=0,
                reason=self._details(),
                unsure=unsure,
            )
        )

    def _removes_server(self) -> bool:
        return any(
            isinstance(step.undo, Remove) and step.undo.role is Role.SERVER and self.plan.step(name).attempted
            for name, step in self.steps.items()
        )

    # -- unwinding -------------------------------------------------------------------------------------------------

    def _unwind(self) -> None:
        """Undo what was attempted, the last first, what does not depend on each other together."""
        progressed = True
        polled: set[str] = set(self.observed)
        while progressed:
            progressed = False
            for name, step in self.steps.items():
                if isinstance(step.undo, NONE) or self._is_undone(name) or not self._may_undo(name):
                    continue
                if self.plan.step(name).undo is UndoProgress.NONE:
                    self.plan.say(
                        UndoIntended(originator_id=self.plan.operation.id, originator_version=0, step=name)
                    )
                    polled.discard(name)  # what was observed in this turn was the step's, not its undo's
                if name not in polled and not self.plan.is_waiting(name):
                    polled.add(name)
                    step.undo.poll(self.plan, step)
                progressed |= self._is_undone(name)

    def _is_undone(self, name: str) -> bool:
        state = self.plan.step(name)
        return (
            not state.attempted
            or isinstance(self.steps[name].undo, NONE)
            or state.undo is UndoProgress.UNDONE
        )

    def _may_undo(self, name: str) -> bool:
        """Whether all that came after it, directly or not, is undone."""
        return all(self._is_undone(later) for later in self._followers(name))

    def _followers(self, name: str) -> set[str]:
        found: set[str] = set()
        for other, step in self.steps.items():
            # Steps are listed in an order that fits `after`, so one pass finds them all.
            if name in step.after or found.intersection(step.after):
                found.add(other)
        return found

    # -- the end ---------------------------------------------------------------------------------------------------

    def _has_succeeded(self) -> bool:
        return all(s.progress is Progress.SUCCEEDED for s in self.plan.operation.steps.values())

    def _end_if_finished(self) -> None:
        if self._is_forward and self._has_succeeded():
            self._end(End.SUCCEEDED, self.definition.ends.succeeded(self.plan.scene), None)
        elif self.plan.is_unwinding and all(self._is_undone(name) for name in self.steps):
            # A server that is gone takes along whatever its guest might still have done.
            is_unknown = bool(self.plan.operation.unsure) and not self._removes_server()
            failure = Failure(self._message(), self.plan.operation.reason, is_unknown)
            outcome = End.FAILED_UNKNOWN if is_unknown else End.FAILED
            self._end(outcome, self.definition.ends.failed(self.plan.scene, failure), failure)

    def _end(self, outcome: End, ending: Ending, failure: Failure | None) -> None:
        plan, operation = self.plan, self.plan.operation
        # Released first: nothing follows the end of a subject.
        for subject in operation.subjects:
            plan.say(Released(originator_id=subject.id, originator_version=0, operation_id=operation.id))
        for event in ending.events:
            plan.say(event)
        plan.write(*ending.writes)
        plan.say(
            Completed(
                originator_id=operation.id,
                originator_version=0,
                outcome=outcome,
                message=failure.message if failure is not None else "",
                reason=failure.details if failure is not None else "",
            )
        )

    # -- words -----------------------------------------------------------------------------------------------------

    def _message(self) -> str:
        """The one sentence for the owner."""
        operation = self.plan.operation
        if operation.is_stopped:
            silent = " (the server does not answer)" if operation.unsure else ""
            return f"could not {self.definition.wants}: it was cancelled{silent}"
        failed = list(self.plan.with_progress(Progress.FAILED, Progress.GIVEN_UP))
        state = operation.steps[failed[0]]
        said = f" ({state.message})" if state.message else ""
        if state.progress is Progress.GIVEN_UP:
            said = " (the server does not answer)"
        return f"could not {self.definition.wants}: {self.steps[failed[0]].complaint}{said}"

    def _details(self) -> str:
        failed = self.plan.with_progress(Progress.FAILED)
        unknown = self.plan.with_progress(Progress.GIVEN_UP)
        parts = ["cancelled"] if self.plan.operation.is_stopped else []
        parts += [f"{name}: {state.error} (try {state.failures})" for name, state in failed.items()]
        parts += [f"{name}: no answer, outcome unknown" for name in unknown]
        return "; ".join(parts)
