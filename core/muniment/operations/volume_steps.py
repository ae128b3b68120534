"""The step that makes the data volume larger: `Extend`. Nothing undoes it, so its effect must be known before an end."""

from collections.abc import Callable
from dataclasses import dataclass

from muniment.domain.instance import VolumeExtended
from muniment.domain.operation import Intended, Withdrawn
from muniment.domain.resources import Role
from muniment.operations.calls import (
    Building,
    ExtendVolume,
    LookAtSize,
    NoAnswer,
    NotMade,
    Observation,
    Refusal,
    Sized,
)
from muniment.operations.plan import Plan
from muniment.operations.scene import Scene
from muniment.operations.steps import Step
from muniment.store.state import SignalRow

__all__ = ["Extend"]


@dataclass(frozen=True)
class Extend:
    """The volume of the instance has at least that size in the cloud. It has no limit of its own: a call that was not
    answered is looked after until it can have no effect any more, and an extension that has begun until it has ended."""

    size_gib: Callable[[Scene], int]

    @property
    def is_command(self) -> bool:
        """It asks no guest, but like a command its effect must be known before the operation turns round."""
        return True

    def begin(self, plan: Plan, step: Step) -> None:
        """Record the intent with an end, and ask for the call."""
        call_by_s = plan.now_s + plan.timing.permit_s
        plan.say(
            Intended(
                originator_id=plan.operation.id,
                originator_version=0,
                step=step.name,
                failures=plan.step(step.name).failures,
                call_by_s=call_by_s,
                settled_at_s=call_by_s + plan.timing.effect_s,
            )
        )
        plan.call(step.name, ExtendVolume(_volume_id(plan), self.size_gib(plan.scene), call_by_s))

    def poll(self, plan: Plan, step: Step) -> None:
        """Look how large it is now."""
        if step.name not in plan.calls and not plan.is_waiting(step.name):
            plan.call(step.name, LookAtSize(_volume_id(plan)))

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """The size that was seen counts; a volume that stayed small only if the look began after the intent had settled."""
        settled_at_s = plan.step(step.name).settled_at_s
        assert settled_at_s is not None
        match observation:
            case Sized(size_gib) if size_gib >= self.size_gib(plan.scene):
                extended = VolumeExtended(
                    originator_id=plan.scene.instance.id, originator_version=0, volume_size_gib=size_gib
                )
                plan.say(extended)
                plan.finish(step.name)
            case Sized(size_gib, began_s) if began_s >= settled_at_s:
                plan.fail(step.name, f"the volume has {size_gib} GiB still", tries=step.tries)
            case Sized():
                plan.wait(step.name, min(plan.now_s + plan.timing.cloud_poll_s, settled_at_s))
            case Refusal(message, retryable, for_owner):
                plan.fail(step.name, message, tries=step.tries, retryable=retryable, message=for_owner)
            case NotMade():
                plan.say(Withdrawn(originator_id=plan.operation.id, originator_version=0, step=step.name))
            case Building():
                self._wait(plan, step, "the cloud is extending the volume")
            case NoAnswer(message):
                self._wait(plan, step, message)
            case _:
                raise AssertionError(f"{observation} does not conclude {step.name}")

    def hear(self, plan: Plan, step: Step, signal: SignalRow) -> None:
        """No guest answers such a step."""

    def cancel(self, plan: Plan, step: Step) -> None:
        """There is no way to stop a cloud: what becomes of it is waited for."""

    def _wait(self, plan: Plan, step: Step, reason: str) -> None:
        plan.say_blocked(step.name, reason)
        plan.wait(step.name, plan.now_s + plan.timing.cloud_poll_s)


def _volume_id(plan: Plan) -> str:
    volume_id = plan.scene.instance.held(Role.VOLUME)
    assert volume_id is not None, "no volume is held"
    return volume_id
