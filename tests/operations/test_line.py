"""The line before an instance's guest: what was asked for first happens first, and nobody waits for ever."""

from random import Random
from uuid import UUID

import pytest
from tests.operations.cases import running_instance
from tests.simulation.chance import Chance
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.domain.accounts import WantedDatabase
from muniment.domain.arguments import DatabasesArguments, GrantArguments, RevokeArguments
from muniment.domain.instance import OCCUPANTS_MAX
from muniment.domain.operation import Completed, End, Intended
from muniment.domain.refused import Refused
from muniment.operations.databases import CREATE_DATABASES
from muniment.operations.grants import GRANT, REVOKE
from muniment.operations.restart_instance import RESTART_INSTANCE

LONG_S = 100_000.0
GRANTED = ("user0", "db0")


def calm_world(seed: int) -> World:
    """One in which nothing goes wrong by itself."""
    return World(Chance(Random(seed)), task_managers=2, couriers=1)


def finish(world: World) -> None:
    """Let everything come to its end, and check that all is as it must be."""
    assert world.run_until(world.now_s() + LONG_S, is_done=lambda: world.next_task_s() is None)
    world.cloud.settle()
    world.watch.check_end()


def create_database(world: World, instance_id: UUID, name: str) -> UUID:
    """Ask for a database."""
    arguments = DatabasesArguments(databases=(WantedDatabase(name=name),))
    return Requests(world).on_instance(CREATE_DATABASES, world.instance(instance_id), arguments).operation_id


def grant(world: World, instance_id: UUID) -> UUID:
    """Ask for the grant."""
    arguments = GrantArguments(name=GRANTED[0], databases=(GRANTED[1],))
    return Requests(world).on_instance(GRANT, world.instance(instance_id), arguments).operation_id


def revoke(world: World, instance_id: UUID) -> UUID:
    """Ask for the end of the grant."""
    arguments = RevokeArguments(name=GRANTED[0], database=GRANTED[1])
    return Requests(world).on_instance(REVOKE, world.instance(instance_id), arguments).operation_id


def begun(world: World, operations: list[UUID]) -> list[UUID]:
    """Those of the operations whose command was made, in the order of that."""
    events = [entry.event for entry in world.ledger.log.read(0, 10_000)]
    made = [e.originator_id for e in events if isinstance(e, Intended) and e.originator_id in operations]
    return list(dict.fromkeys(made))


@pytest.mark.parametrize("seed", range(20))
def test_a_revoke_after_a_grant_wins(seed: int) -> None:
    """While the guest is busy, a grant is put and removed again: in the end it is not there."""
    world = calm_world(seed)
    instance_id = running_instance(world)
    create_database(world, instance_id, "busy")
    world.run_until(world.now_s() + world.chance.random.uniform(0, 2))
    order = [grant(world, instance_id), revoke(world, instance_id)]
    finish(world)
    server = world.server_of(instance_id)
    assert server is not None
    assert begun(world, order) == order
    assert server.data.grants == set()


@pytest.mark.parametrize("seed", range(12))
def test_commands_are_made_in_the_order_of_requests(seed: int) -> None:
    """Whatever is asked for at whatever moments, a restart and a failure that is tried again among it."""
    world = calm_world(seed)
    random = world.chance.random
    instance_id = running_instance(world)
    order = [Requests(world).back_up(world.instance(instance_id)).operation_id]
    world.refusals.once |= {"grant.put", "db.create"}
    for number in range(8):
        world.run_until(world.now_s() + random.choice([0.0, 0.0, 1.0, 10.0, 40.0]))
        match random.randrange(4):
            case 0:
                order.append(create_database(world, instance_id, f"more{number}"))
            case 1:
                order.append(grant(world, instance_id))
            case 2:
                order.append(revoke(world, instance_id))
            case 3:
                restart = Requests(world).on_instance(RESTART_INSTANCE, world.instance(instance_id))
                order.append(restart.operation_id)
    finish(world)
    assert begun(world, order) == order
    assert {world.watch.ended[operation_id] for operation_id in order} == {End.SUCCEEDED}


def test_who_unwinds_holds_up_nobody() -> None:
    """A failed backup whose objects do not go is not waited for, however long it takes."""
    world = calm_world(1)
    instance_id = running_instance(world)
    backup = Requests(world).back_up(world.instance(instance_id)).operation_id
    world.refusals.always.add("backup.create")
    world.objects.keeps_always = True
    later = [create_database(world, instance_id, "one"), create_database(world, instance_id, "two")]
    world.run_until(world.now_s() + 400)
    assert backup not in world.watch.ended
    assert [world.watch.ended.get(operation_id) for operation_id in later] == [End.SUCCEEDED] * 2
    world.objects.keeps_always = False
    finish(world)


def test_who_is_cancelled_in_line_leaves_it() -> None:
    """The others move up, without a look in between."""
    world = calm_world(2)
    instance_id = running_instance(world)
    Requests(world).back_up(world.instance(instance_id))
    waiting = [create_database(world, instance_id, name) for name in ("one", "two", "three")]
    world.run_until(world.now_s() + 1)
    Requests(world).cancel(waiting[1])
    finish(world)
    assert [world.watch.ended[operation_id] for operation_id in waiting] == [
        End.SUCCEEDED,
        End.FAILED,
        End.SUCCEEDED,
    ]
    assert begun(world, waiting) == [waiting[0], waiting[2]]


def test_the_next_in_line_begins_as_soon_as_the_one_before_ends() -> None:
    """It is poked: nobody waits for a look that only comes every few seconds."""
    world = calm_world(3)
    instance_id = running_instance(world)
    order = [Requests(world).back_up(world.instance(instance_id)).operation_id]
    order += [create_database(world, instance_id, f"more{number}") for number in range(6)]
    finish(world)
    ends: list[float] = []
    starts: list[float] = []
    for operation_id in order:
        for event in world.ledger.history(operation_id):
            assert event.at is not None
            if isinstance(event, Completed):
                ends.append(event.at.timestamp())
            elif isinstance(event, Intended):
                starts.append(event.at.timestamp())
    assert all(0 <= start - end < 0.1 for end, start in zip(ends, starts[1:], strict=False))


def test_a_long_line_costs_little() -> None:
    """Thirty operations behind a backup that takes ten minutes: a few saves a second at most, not one each and poll."""
    world = calm_world(4)
    instance_id = running_instance(world)
    server = world.server_of(instance_id)
    assert server is not None
    Requests(world).back_up(world.instance(instance_id))
    world.network.cut(instance_id)
    for number in range(30):
        create_database(world, instance_id, f"more{number}")
    world.run_until(world.now_s() + 1)
    before = world.commits
    world.run_until(world.now_s() + 60)
    assert world.commits - before < 90
    world.network.heal(instance_id)
    finish(world)


def full_line(world: World) -> UUID:
    """An instance, out of reach, with as many operations as it may have."""
    instance_id = running_instance(world)
    world.network.cut(instance_id)
    for number in range(OCCUPANTS_MAX):
        create_database(world, instance_id, f"more{number}")
    return instance_id


def test_a_full_line_takes_nobody_more() -> None:
    """The answer is 422 and names the limit; once the line is shorter there is room again."""
    world = calm_world(5)
    instance_id = full_line(world)
    instance, requests = world.instance(instance_id), Requests(world)
    for ask in (
        lambda: create_database(world, instance_id, "one too many"),
        lambda: requests.restart(instance),
        lambda: requests.back_up(instance),
    ):
        with pytest.raises(Refused, match="may have 32 at once; wait") as refused:
            ask()
        assert (refused.value.status, refused.value.code) == (422, "instance-busy")
    world.network.heal(instance_id)
    finish(world)
    world.quietly(lambda: create_database(world, instance_id, "another"))


def test_a_full_line_is_no_refuge_from_deletion() -> None:
    """Deletion ends all of them."""
    world = calm_world(6)
    Requests(world).delete(full_line(world))
    finish(world)
    assert not world.cloud.things


def test_a_full_line_is_no_refuge_from_reset() -> None:
    """Nor does it keep an administrator from ending all of them."""
    world = calm_world(7)
    instance_id = full_line(world)
    Requests(world).reset(instance_id)
    assert world.instance(instance_id).occupants == ()
    world.network.heal(instance_id)
    finish(world)
