"""A dummy operation that is wrong on purpose: the proof that the helpers can fail."""

from dataclasses import replace
from typing import Final

from tests.operations.cases import create_instance

from muniment.domain.resources import Role
from muniment.operations.calls import Observation
from muniment.operations.cloud_steps import Ensure
from muniment.operations.create_instance import CREATE_INSTANCE
from muniment.operations.plan import Plan
from muniment.operations.steps import Each, Step

__all__ = ["WRONG_UNDO", "WRONG_UNDO_CASES"]


class _Forgets:
    """An undo that does nothing and says that it is done."""

    def poll(self, plan: Plan, step: Step) -> None:
        """Be done."""
        plan.finish(step.name)

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """It makes no calls."""
        raise AssertionError("no call was made")


def _wrong(step: Step | Each) -> Step | Each:
    is_volume = isinstance(step, Step) and isinstance(step.kind, Ensure) and step.kind.role is Role.VOLUME
    return replace(step, undo=_Forgets()) if is_volume else step


WRONG_UNDO: Final = {
    "create_instance.1": replace(CREATE_INSTANCE, steps=tuple(_wrong(step) for step in CREATE_INSTANCE.steps))
}
WRONG_UNDO_CASES: Final = {"create_instance.1": create_instance}
