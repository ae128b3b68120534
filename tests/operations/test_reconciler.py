"""What the cloud has and nobody holds is found, and removed only at an operator's word."""

from random import Random
from uuid import UUID

import pytest
from tests.operations.cases import running_instance
from tests.simulation.chance import Chance
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.cloud.recipes import Tag, VolumeRecipe
from muniment.operations.reconciler import Reconciler

OLD_S = 1000.0


@pytest.fixture
def world() -> World:
    """A calm one."""
    return World(Chance(Random(3)), task_managers=1, couriers=1)


@pytest.fixture
def reconciler(world: World) -> Reconciler:
    """Over its cloud."""
    return Reconciler(world.ledger, world.cloud, world.clock, world.knowledge.timing)


def orphan_volume(world: World, instance_id: UUID, role: str = "volume") -> str:
    """A volume that no ledger knows of."""
    return world.cloud.make_unasked(VolumeRecipe(tag=Tag(instance_id, role), size_gib=1)).id


def test_what_is_held_is_no_orphan(world: World, reconciler: Reconciler) -> None:
    """A running instance's resources are all held."""
    running_instance(world)
    world.clock.advance(OLD_S)
    assert list(reconciler.orphans()) == []


def test_what_is_young_is_no_orphan_yet(world: World, reconciler: Reconciler) -> None:
    """It may be on its way into a resource list."""
    orphan_volume(world, UUID(int=1))
    assert list(reconciler.orphans()) == []


def test_what_is_expected_is_no_orphan(world: World, reconciler: Reconciler) -> None:
    """An operation that stands still may have made it."""
    Requests(world).create()
    world.run_until(world.now_s() + 1)
    world.clock.advance(OLD_S)
    assert list(reconciler.orphans()) == []


def test_orphans_are_told_with_their_reason(world: World, reconciler: Reconciler) -> None:
    """A stranger's, a twin's and a deleted instance's are told apart."""
    instance_id = running_instance(world)
    stranger, twin = orphan_volume(world, UUID(int=1)), orphan_volume(world, instance_id)
    strange_role = orphan_volume(world, instance_id, "toy")
    world.clock.advance(OLD_S)
    reasons = {orphan.resource.id: orphan.reason for orphan in reconciler.orphans()}
    assert reasons == {
        stranger: f"instance {UUID(int=1)} is not in the log",
        twin: f"instance {instance_id} holds another volume, or none",
        strange_role: "no resource list knows the role toy",
    }


def test_what_a_deleted_instance_left_is_an_orphan(world: World, reconciler: Reconciler) -> None:
    """Nobody will look for it any more."""
    instance_id = running_instance(world)
    world.quietly(lambda: Requests(world).delete(instance_id))
    volume_id = orphan_volume(world, instance_id)
    world.clock.advance(OLD_S)
    (orphan,) = reconciler.orphans()
    assert (orphan.resource.id, orphan.reason) == (volume_id, f"instance {instance_id} is deleted")


def test_an_orphan_is_removed_at_a_word(world: World, reconciler: Reconciler) -> None:
    """Once; then it is none any more."""
    orphan_volume(world, UUID(int=1))
    world.clock.advance(OLD_S)
    (orphan,) = reconciler.orphans()
    assert reconciler.remove(orphan)
    world.clock.advance(10)
    assert not reconciler.remove(orphan)
    assert not world.cloud.things


def test_what_became_held_meanwhile_is_not_removed(world: World, reconciler: Reconciler) -> None:
    """The list that an operator looks at may be old."""
    instance_id = running_instance(world)
    twin = orphan_volume(world, instance_id)
    world.clock.advance(OLD_S)
    (orphan,) = reconciler.orphans()
    held = next(t for t in world.cloud.things.values() if t.recipe.kind == "volume" and t.id != twin)
    as_held = type(orphan)(world.cloud.get(held.recipe.kind, held.id) or orphan.resource, orphan.reason)
    assert not reconciler.remove(as_held)
