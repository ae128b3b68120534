"""A guest's one-time token lives as long as the operation that drew it, whatever that one's end."""

from random import Random
from uuid import UUID

import pytest
from tests.simulation.chance import Chance
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.domain.operation import End

LONG_S = 100_000.0


def calm_world() -> World:
    """One in which nothing goes wrong by itself."""
    return World(Chance(Random(11)), task_managers=1, couriers=1)


def tokens(world: World) -> int:
    """How many sealed tokens there are."""
    (row,) = world.rows("SELECT COUNT(*) AS number FROM enrolments WHERE sealed_token IS NOT NULL")
    return int(row["number"])


def unborn(world: World) -> tuple[UUID, UUID]:
    """A creation whose guest has a token, and is never heard of: the operation and its instance."""
    world.agents_are_dumb = True
    beginning = Requests(world).create()
    assert world.run_until(world.now_s() + LONG_S, is_done=lambda: tokens(world) == 1)
    (row,) = world.rows("SELECT instance_id FROM enrolments")
    return beginning.operation_id, UUID(row["instance_id"])


@pytest.mark.parametrize(("take_over", "end"), [("reset", End.RESET), ("delete", End.TAKEN_OVER)])
def test_a_take_over_withdraws_the_token(take_over: str, end: End) -> None:
    """In its own save: what the sealed value was for has ended."""
    world = calm_world()
    operation_id, instance_id = unborn(world)
    getattr(Requests(world), take_over)(instance_id)
    assert world.watch.ended[operation_id] is end
    assert tokens(world) == 0


def test_a_failure_withdraws_the_token() -> None:
    """A guest that was never heard of makes the creation fail; when it has, nobody can enrol."""
    world = calm_world()
    operation_id, _ = unborn(world)
    assert world.run_until(world.now_s() + LONG_S, is_done=lambda: operation_id in world.watch.ended)
    assert world.watch.ended[operation_id] is End.FAILED
    assert tokens(world) == 0
