"""Steps that make and remove cloud resources of the instance: `Ensure` and `Remove`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from muniment.cloud.recipes import CloudResource, Kind, Recipe, Tag
from muniment.domain.event import Event
from muniment.domain.instance import DeletionBlocked
from muniment.domain.operation import Intended, Withdrawn
from muniment.domain.resources import (
    Presence,
    ResourceAbsent,
    ResourceExpected,
    ResourceGone,
    ResourceHeld,
    Role,
)
from muniment.operations.calls import (
    Absent,
    Another,
    Building,
    Enrolment,
    Ensured,
    Errored,
    FindOrCreate,
    Gone,
    Look,
    NoAnswer,
    NotMade,
    Observation,
    Refusal,
    Remains,
    RemoveResource,
    Removing,
    Sight,
    Sighted,
)
from muniment.operations.plan import Plan
from muniment.operations.scene import Scene
from muniment.operations.steps import Step
from muniment.secret import Secret
from muniment.store.state import SignalRow

__all__ = ["KIND_OF", "Birth", "Ensure", "Remove", "tag_of"]

KIND_OF: Final[Mapping[Role, Kind]] = {
    Role.VOLUME: Kind.VOLUME,
    Role.PORT: Kind.PORT,
    Role.SERVER: Kind.SERVER,
}


def tag_of(scene: Scene, role: Role) -> Tag:
    """How the resource in that role is found."""
    return Tag(scene.instance.id, role)


def no_facts(scene: Scene, resource: CloudResource) -> Sequence[Event]:
    """For resources of which the id says all."""
    return ()


class _CloudStep:
    """What steps that speak to a cloud have in common."""

    @property
    def is_command(self) -> bool:
        return False

    def hear(self, plan: Plan, step: Step, signal: SignalRow) -> None:
        """No guest answers such a step."""

    def cancel(self, plan: Plan, step: Step) -> None:
        """What may come to be is removed when the operation unwinds."""


@dataclass(frozen=True)
class Birth:
    """With what a guest is born; recipes of volumes and ports have no use for it."""

    key_epoch: int
    token: Secret


@dataclass(frozen=True)
class Ensure(_CloudStep):
    """A cloud resource of the instance exists, healthy, once. Undone by `Remove` of the same role."""

    role: Role
    recipe: Callable[[Scene, Birth], Recipe]
    facts: Callable[[Scene, CloudResource], Sequence[Event]] = no_facts
    enrols: bool = False
    """Whether a guest is born with it, which needs a token."""

    def begin(self, plan: Plan, step: Step) -> None:
        """Record the intent with an end, and ask for the call."""
        state, scene, times = plan.step(step.name), plan.scene, plan.timing
        # Each new server gets a key epoch of its own, so that an errored one cannot use up the token of the next.
        key_epoch = state.failures + 1
        call_by_s = plan.now_s + times.permit_s
        settled_at_s = call_by_s + times.effect_s
        assert step.deadline_s is not None, f"{step.name} has no deadline"
        plan.say(
            Intended(
                originator_id=plan.operation.id,
                originator_version=0,
                step=step.name,
                failures=state.failures,
                deadline_s=plan.now_s + step.deadline_s,
                call_by_s=call_by_s,
                settled_at_s=settled_at_s,
            )
        )
        plan.say(
            ResourceExpected(
                originator_id=scene.instance.id,
                originator_version=0,
                role=self.role,
                settled_at_s=settled_at_s,
            )
        )
        call = FindOrCreate(
            kind=KIND_OF[self.role],
            tag=tag_of(scene, self.role),
            call_by_s=call_by_s,
            # The scene of this turn: everything the recipe needs has happened by now.
            recipe=lambda token: self.recipe(scene, Birth(key_epoch, token)),
            enrolment=Enrolment(scene.instance.id, key_epoch) if self.enrols else None,
        )
        plan.call(step.name, call)

    def poll(self, plan: Plan, step: Step) -> None:
        """Look what became of it; past the deadline, what is not healthy is removed."""
        state = plan.step(step.name)
        assert state.deadline_s is not None
        is_late = plan.now_s >= state.deadline_s
        discard_by_s = plan.now_s + plan.timing.permit_s if is_late else None
        plan.call(step.name, Look(KIND_OF[self.role], tag_of(plan.scene, self.role), discard_by_s))

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """A find counts at once; a miss only if the look began after the intent had settled."""
        state = plan.step(step.name)
        assert state.settled_at_s is not None
        match observation:
            case Ensured(resource):
                self._held(plan, step, resource)
            case Errored(reason):
                plan.fail(step.name, f"{self.role} was in error and was removed: {reason}", tries=step.tries)
            case Absent(began_s) if began_s >= state.settled_at_s:
                plan.say(_absent(plan, self.role))
                plan.fail(step.name, f"{self.role} did not come to be", tries=step.tries)
            case Absent():
                # It may still come: look often for a while, and finally once nothing can come any more.
                plan.wait(step.name, min(plan.now_s + plan.timing.cloud_poll_s, state.settled_at_s))
            case Refusal(message, retryable, for_owner):
                plan.fail(step.name, message, tries=step.tries, retryable=retryable, message=for_owner)
            case NotMade():
                plan.say(Withdrawn(originator_id=plan.operation.id, originator_version=0, step=step.name))
            case Building() | Removing() | NoAnswer():
                plan.wait(step.name, plan.now_s + plan.timing.cloud_poll_s)
            case _:
                raise AssertionError(f"{observation} does not conclude {step.name}")

    def _held(self, plan: Plan, step: Step, resource: CloudResource) -> None:
        plan.say(
            ResourceHeld(
                originator_id=plan.scene.instance.id,
                originator_version=0,
                role=self.role,
                resource_id=resource.id,
            )
        )
        for event in self.facts(plan.scene, resource):
            plan.say(event)
        plan.finish(step.name)


@dataclass(frozen=True)
class Remove(_CloudStep):
    """A cloud resource of the instance is confirmed gone. A step of delete, and the undo of `Ensure`: the same code.

    It works from the instance's resource list and never gives up; after a while it says that it is blocked.
    """

    role: Role

    def begin(self, plan: Plan, step: Step) -> None:
        """Record the intent, which needs no end: whoever removes late removes what has to go."""
        plan.say(
            Intended(
                originator_id=plan.operation.id,
                originator_version=0,
                step=step.name,
                failures=plan.step(step.name).failures,
            )
        )
        self.poll(plan, step)

    def poll(self, plan: Plan, step: Step) -> None:
        """Ask for what the resource list calls for."""
        resource = plan.scene.instance.resources.get(self.role)
        kind, tag = KIND_OF[self.role], tag_of(plan.scene, self.role)
        if resource is None or not resource.may_exist:
            plan.finish(step.name)
        elif resource.presence is Presence.EXPECTED:
            plan.call(step.name, Sight(kind, tag))
        else:
            assert resource.resource_id is not None
            plan.call(step.name, RemoveResource(kind, tag, resource.resource_id))

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """Gone is what the cloud confirms by id; what was never seen is absent once its intent has settled."""
        resource = plan.scene.instance.resources[self.role]
        match observation:
            case Sighted(resource_ids):
                self._hold(plan, resource_ids[0])
                self.poll(plan, step)
            case Absent(began_s) if began_s >= resource.settled_at_s:
                plan.say(_absent(plan, self.role))
                plan.finish(step.name)
            case Absent():
                plan.wait(step.name, min(plan.now_s + plan.timing.cloud_poll_s, resource.settled_at_s))
            case Gone():
                self._gone(plan)
                plan.finish(step.name)
            case Another(resource_id):
                self._gone(plan)
                self._hold(plan, resource_id)
                self.poll(plan, step)
            case Remains(reason) | Refusal(reason) | NoAnswer(reason):
                self._wait(plan, step, reason)
            case _:
                raise AssertionError(f"{observation} does not conclude {step.name}")

    def _hold(self, plan: Plan, resource_id: str) -> None:
        plan.say(
            ResourceHeld(
                originator_id=plan.scene.instance.id,
                originator_version=0,
                role=self.role,
                resource_id=resource_id,
            )
        )

    def _gone(self, plan: Plan) -> None:
        held = plan.scene.instance.held(self.role)
        assert held is not None, f"no {self.role} is held"
        plan.say(
            ResourceGone(
                originator_id=plan.scene.instance.id, originator_version=0, role=self.role, resource_id=held
            )
        )

    def _wait(self, plan: Plan, step: Step, reason: str) -> None:
        if plan.say_blocked(step.name, reason):
            plan.say(
                DeletionBlocked(
                    originator_id=plan.scene.instance.id, originator_version=0, role=self.role, reason=reason
                )
            )
        plan.wait(step.name, plan.now_s + plan.timing.cloud_poll_s)


def _absent(plan: Plan, role: Role) -> ResourceAbsent:
    return ResourceAbsent(originator_id=plan.scene.instance.id, originator_version=0, role=role)
