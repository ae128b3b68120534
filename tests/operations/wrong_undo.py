"""Dummy operations that are wrong on purpose: the proof that the helpers can fail."""

from dataclasses import replace
from typing import Final

from tests.operations.cases import create_instance

from muniment.clock import seconds
from muniment.domain.resources import Role
from muniment.operations.calls import Observation
from muniment.operations.cloud_steps import Ensure, Remove
from muniment.operations.create_instance import CREATE_INSTANCE
from muniment.operations.plan import Plan
from muniment.operations.steps import Definition, Step, Undo

__all__ = ["SLOW_UNDO", "WRONG_UNDO", "WRONG_UNDO_CASES"]

_HOURS_S = 6 * 3600.0


class _Forgets:
    """An undo that does nothing and says that it is done."""

    def poll(self, plan: Plan, step: Step) -> None:
        """Be done."""
        plan.finish(step.name)

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """It makes no calls."""
        raise AssertionError("no call was made")


class _Sleeps(Remove):
    """An undo that is right, hours later."""

    def poll(self, plan: Plan, step: Step) -> None:
        """Wait first."""
        began_at = plan.step(step.name).undo_began_at
        if began_at is None or plan.now_s < seconds(began_at) + _HOURS_S:
            plan.wait(step.name, plan.now_s + _HOURS_S)
        else:
            super().poll(plan, step)


def _with_undo(undo: Undo) -> dict[str, Definition]:
    """The create operation with that undo of its volume."""
    steps = (
        replace(step, undo=undo) if isinstance(step, Step) and _makes_volume(step) else step
        for step in CREATE_INSTANCE.steps
    )
    return {"create_instance.1": replace(CREATE_INSTANCE, steps=tuple(steps))}


def _makes_volume(step: Step) -> bool:
    return isinstance(step.kind, Ensure) and step.kind.role is Role.VOLUME


WRONG_UNDO: Final = _with_undo(_Forgets())
SLOW_UNDO: Final = _with_undo(_Sleeps(Role.VOLUME))
WRONG_UNDO_CASES: Final = {"create_instance.1": create_instance}
