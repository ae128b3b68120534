"""A turn may be decided again: whatever others write in between, nothing seen is lost and nothing stale is decided."""

from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulation.chance import Chance
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.domain.event import Event
from muniment.domain.instance import INSTANCE, HealthChanged, Instance, InstanceRenamed
from muniment.operations.calls import Observation
from muniment.operations.catalogue import CATALOGUE
from muniment.operations.plan import Plan
from muniment.operations.turn import turn
from muniment.operations.view import View, load_view


def shape(plan: Plan) -> tuple[object, ...]:
    """What a plan wants, without versions, which are the next ones of their streams."""
    events = [msgspec.structs.replace(event, originator_version=0) for event in plan.events]
    calls = [(step, type(call).__name__) for step, call in plan.calls.items()]
    return (events, plan.writes, calls, plan.waits)


def foreign(instance: Instance, number: int, kind: str) -> Event:
    """Something that others say of an instance meanwhile."""
    at = {"originator_id": instance.id, "originator_version": instance.version + 1}
    if kind == "renamed":
        return InstanceRenamed(**at, name=f"name {number}")
    return HealthChanged(**at, state=f"state {number}")


def after(view: View, kinds: list[str]) -> View:
    """The same view, when others have written to the instance's stream."""
    assert view.instance is not None
    instance = view.instance
    for number, kind in enumerate(kinds):
        folded = INSTANCE.fold(instance, [foreign(instance, number, kind)])
        assert folded is not None
        instance = folded
    return View(
        operation=view.operation,
        instance=instance,
        backup=view.backup,
        signals=view.signals,
        unanswered=view.unanswered,
        line=view.line,
        pokes=view.pokes,
        wrapped_key=view.wrapped_key,
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    until_s=st.floats(0, 200),
    kinds=st.lists(st.sampled_from(["renamed", "health"]), max_size=4),
)
def test_a_turn_decided_again_decides_the_same(seed: int, until_s: float, kinds: list[str]) -> None:
    """At any moment of a create: the plan after a conflict differs from the plan before it in versions alone."""
    world = World(Chance(Random(seed)), task_managers=1, couriers=1)
    beginning = Requests(world).create()
    world.run_until(world.now_s() + until_s)
    if beginning.operation_id in world.watch.ended:
        return
    with world.ledger.reading() as reader:
        view = load_view(reader, beginning.operation_id)
    observed: dict[str, Observation] = {}
    definition = CATALOGUE[view.operation.kind]
    first = turn(definition, view, observed, world.knowledge, world.now_s())
    again = turn(definition, after(view, kinds), observed, world.knowledge, world.now_s())
    assert shape(first) == shape(again)
