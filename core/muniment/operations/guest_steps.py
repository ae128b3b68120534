"""Steps that ask the guest: `Act` and `Job` for its ops, `AwaitGuest` until there is one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from uuid import UUID, uuid5

import msgspec

from muniment.clock import seconds
from muniment.contract.ops import JOB_CANCEL, JOB_STATUS, JobRef, Op, OpClass
from muniment.domain.event import Event
from muniment.domain.operation import Asked, Extended, GaveUp, Intended, command_id
from muniment.domain.resources import Role
from muniment.operations.answers import Done, Error, Runs, read_answer
from muniment.operations.calls import Observation
from muniment.operations.plan import Plan
from muniment.operations.scene import Scene
from muniment.operations.steps import Step
from muniment.store.state import OutboxRow, SignalRow, UnansweredRow
from muniment.store.writes import AddOutbox, CloseCommand, OpenCommand, WithdrawOutbox

__all__ = ["Act", "AwaitGuest", "Job", "no_facts", "no_secrets"]

A = TypeVar("A", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)


def no_secrets(scene: Scene) -> Mapping[str, UUID]:
    """For ops that carry none."""
    return {}


def no_facts(scene: Scene, result: object) -> Sequence[Event]:
    """For ops whose success changes nothing that a history tells."""
    return ()


def no_grants(scene: Scene) -> Sequence[Event]:
    """For ops that reach nothing but the instance."""
    return ()


@dataclass(frozen=True)
class _Command(Generic[A, R]):
    """One op on the guest of the instance. At most one such command of an instance is unanswered.

    Silence past the deadline is not failure: the guest is asked, and only its answer, or having asked often enough after
    the command's own expiry, ends the wait.
    """

    op: Op[A, R]
    args: Callable[[Scene], A]
    secrets: Callable[[Scene], Mapping[str, UUID]] = no_secrets
    facts: Callable[[Scene, R], Sequence[Event]] = no_facts
    grants: Callable[[Scene], Sequence[Event]] = no_grants
    """What must be known before the command can have any effect; saved with its intent."""

    @property
    def is_command(self) -> bool:
        """Always."""
        return True

    def begin(self, plan: Plan, step: Step) -> None:
        """Record the command and put it into the outbox, once it is its operation's turn and no other is unanswered."""
        if plan.line.ahead or plan.unanswered is not None:
            # The longer the line, the rarer the looks of each: together they would keep the one writer's place busy.
            plan.wait(step.name, plan.now_s + plan.timing.busy_poll_s * max(plan.line.ahead, 1))
            return
        scene, state = plan.scene, plan.step(step.name)
        made = command_id(plan.operation.id, step.name, state.failures)
        deadline_s = plan.now_s + self._begin_within_s(plan, step)
        row = OutboxRow(
            id=str(made),
            operation_id=plan.operation.id,
            instance_id=scene.instance.id,
            op=self.op.name,
            op_version=self.op.version,
            args=msgspec.json.encode(self.args(scene)),
            secret_refs=dict(self.secrets(scene)),
            instance_epoch=scene.instance.epoch,
            set_epoch=0,
            deadline_s=deadline_s,
        )
        plan.say(
            Intended(
                originator_id=plan.operation.id,
                originator_version=0,
                step=step.name,
                failures=state.failures,
                deadline_s=deadline_s,
                command_id=made,
                epoch=scene.instance.epoch,
            )
        )
        for event in self.grants(scene):
            plan.say(event)
        plan.unanswered = UnansweredRow(scene.instance.id, made, plan.operation.id, None)
        plan.write(OpenCommand(scene.instance.id, made, plan.operation.id), AddOutbox(row))
        plan.wait(step.name, deadline_s)

    def poll(self, plan: Plan, step: Step) -> None:
        """Nothing was heard: wait until the guest counts as silent, then ask, then give up."""
        state = plan.step(step.name)
        silent_at_s = self._silent_at_s(plan, step)
        if plan.now_s < silent_at_s:
            plan.wait(step.name, silent_at_s)
        elif state.asked < plan.timing.asks_max:
            self._ask(plan, step)
        else:
            self._give_up(plan, step)

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """A guest is asked through the outbox, never by a call."""
        raise AssertionError(f"{step.name} makes no calls")

    def hear(self, plan: Plan, step: Step, signal: SignalRow) -> None:
        """What the guest said of the command."""
        match read_answer(signal):
            case Done(result):
                self._close(plan, step)
                decoded = msgspec.json.decode(result, type=self.op.result)
                for event in self.facts(plan.scene, decoded):
                    plan.say(event)
                plan.finish(step.name)
            case Error(details, retryable, message):
                self._close(plan, step)
                plan.fail(step.name, details, tries=step.tries, retryable=retryable, message=message)
            case Runs():
                self._extend(plan, step)

    def cancel(self, plan: Plan, step: Step) -> None:
        """Ask at once: it ends a job, and tells what became of anything else."""
        self._ask(plan, step)

    def _begin_within_s(self, plan: Plan, step: Step) -> float:
        limit_s = step.deadline_s or self.op.deadline_s
        return min(limit_s, plan.timing.job_begin_s) if self.op.kind is OpClass.JOB else limit_s

    def _is_over_limit(self, plan: Plan, step: Step) -> bool:
        """Whether a job has run longer than it may, however alive it is."""
        intended_at = plan.step(step.name).intended_at
        limit_s = step.deadline_s or self.op.deadline_s
        return intended_at is not None and plan.now_s >= seconds(intended_at) + limit_s

    def _silent_at_s(self, plan: Plan, step: Step) -> float:
        state = plan.step(step.name)
        assert state.deadline_s is not None
        heard_at_s = plan.unanswered.heard_at_s if plan.unanswered is not None else None
        if self.op.kind is not OpClass.JOB or heard_at_s is None or self._is_over_limit(plan, step):
            return state.deadline_s
        return max(state.deadline_s, heard_at_s + plan.timing.silence_s)

    def _ask(self, plan: Plan, step: Step) -> None:
        state = plan.step(step.name)
        assert state.command_id is not None
        stops = plan.operation.is_cancelled or self._is_over_limit(plan, step)
        query: Op[JobRef, msgspec.Struct] = JOB_CANCEL if stops else JOB_STATUS  # type: ignore[assignment]  # results are read alike
        deadline_s = plan.now_s + plan.timing.ask_s
        row = OutboxRow(
            id=str(uuid5(state.command_id, f"?{plan.operation.version}")),
            operation_id=plan.operation.id,
            instance_id=plan.scene.instance.id,
            op=query.name,
            op_version=query.version,
            args=msgspec.json.encode(JobRef(command_id=state.command_id)),
            secret_refs={},
            instance_epoch=plan.scene.instance.epoch,
            set_epoch=0,
            deadline_s=deadline_s,
            query_of=state.command_id,
        )
        plan.say(
            Asked(
                originator_id=plan.operation.id, originator_version=0, step=step.name, deadline_s=deadline_s
            )
        )
        plan.write(AddOutbox(row))
        plan.wait(step.name, deadline_s)

    def _extend(self, plan: Plan, step: Step) -> None:
        if plan.operation.is_cancelled or self._is_over_limit(plan, step):
            return  # asked to stop: still running is not what was hoped for, and the questions go on
        deadline_s = plan.now_s + plan.timing.silence_s
        plan.say(
            Extended(
                originator_id=plan.operation.id, originator_version=0, step=step.name, deadline_s=deadline_s
            )
        )

    def _give_up(self, plan: Plan, step: Step) -> None:
        """Unknown for good; never before the command itself has expired by any clock, so that it cannot begin later."""
        state = plan.step(step.name)
        assert state.expires_s is not None
        expired_s = state.expires_s + plan.timing.skew_s
        if plan.now_s < expired_s:
            plan.wait(step.name, expired_s)
            return
        self._close(plan, step)
        plan.say(GaveUp(originator_id=plan.operation.id, originator_version=0, step=step.name))

    def _close(self, plan: Plan, step: Step) -> None:
        """The command is over: its rows go, and the guest may be spoken to."""
        command = plan.step(step.name).command_id
        assert command is not None
        plan.unanswered = None
        plan.write(CloseCommand(command), WithdrawOutbox((str(command),)))


@dataclass(frozen=True)
class Act(_Command[A, R]):
    """A short op."""


@dataclass(frozen=True)
class Job(_Command[A, R]):
    """A long op that reports progress; it lives as long as it is heard of, up to its step's deadline."""


@dataclass(frozen=True)
class AwaitGuest:
    """The agent on the server that is held has enrolled. It has no effect of its own."""

    _NO_SERVER: Final = "no server is held"

    @property
    def is_command(self) -> bool:
        """It asks nobody."""
        return False

    def begin(self, plan: Plan, step: Step) -> None:
        """Record until when the guest has time."""
        assert step.deadline_s is not None
        plan.say(
            Intended(
                originator_id=plan.operation.id,
                originator_version=0,
                step=step.name,
                failures=plan.step(step.name).failures,
                deadline_s=plan.now_s + step.deadline_s,
            )
        )
        self.poll(plan, step)

    def poll(self, plan: Plan, step: Step) -> None:
        """The enrolment names the server: a late beat of an errored predecessor does not count."""
        server_id = plan.scene.instance.held(Role.SERVER)
        assert server_id is not None, self._NO_SERVER
        deadline_s = plan.step(step.name).deadline_s
        assert deadline_s is not None
        if plan.scene.instance.enrolled_server_id == server_id:
            plan.finish(step.name)
        elif plan.now_s >= deadline_s:
            plan.fail(step.name, f"the agent on server {server_id} did not enrol", tries=step.tries)
        else:
            plan.wait(step.name, min(deadline_s, plan.now_s + plan.timing.guest_poll_s))

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """It makes no calls."""
        raise AssertionError(f"{step.name} makes no calls")

    def hear(self, plan: Plan, step: Step, signal: SignalRow) -> None:
        """No command, no answer."""

    def cancel(self, plan: Plan, step: Step) -> None:
        """Nothing of it is left."""
