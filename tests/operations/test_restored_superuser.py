"""What becomes of a backup's superuser in an instance that is restored from it."""

from random import Random

from tests.operations.cases import completed_backup, instance_of
from tests.simulation.chance import Chance
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.contract.ops import SUPERUSER_DISABLE
from muniment.domain.arguments import SuperuserArguments
from muniment.domain.instance import Lifecycle
from muniment.operations.superuser import ENABLE_SUPERUSER
from muniment.secret import Secret


def restored(world: World) -> None:
    """Restore a backup, and let that come to its end."""
    backup = world.backup(completed_backup(world))
    world.quietly(lambda: Requests(world).create(backup=backup))


def test_a_restored_instance_has_no_superuser_until_one_is_enabled() -> None:
    """What the history says, and so the API, is what the engine has: nothing, and after enabling a superuser."""
    world = World(Chance(Random(1)), task_managers=1, couriers=1)
    restored(world)
    instance = world.instance(instance_of(world))
    server = world.server_of(instance.id)
    assert server is not None
    assert server.data.restored_from is not None
    assert (instance.superuser_enabled, server.data.has_superuser) == (False, False)
    ref = world.new_id()
    world.quietly(
        lambda: Requests(world).on_databases(
            ENABLE_SUPERUSER, instance, SuperuserArguments(secret_ref=ref), {ref: Secret("a new password")}
        )
    )
    assert (world.instance(instance.id).superuser_enabled, server.data.has_superuser) == (True, True)


def test_a_superuser_that_stays_fails_the_restore() -> None:
    """An instance with a superuser that nobody knows of does not become active."""
    world = World(Chance(Random(2)), task_managers=1, couriers=1)
    world.refusals.always.add(SUPERUSER_DISABLE.name)
    restored(world)
    instance = world.instance(instance_of(world))
    assert instance.lifecycle is Lifecycle.FAILED
    assert instance.fault is not None
    assert "the superuser of the backup could not be taken away" in instance.fault.message
