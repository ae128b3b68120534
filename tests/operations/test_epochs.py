"""What raises the epoch of an instance, in which save, and what that keeps a guest from."""

from random import Random
from uuid import UUID

import pytest
from tests.operations.cases import CASES, instance_of, running_instance
from tests.operations.stage import Stage
from tests.simulation.chance import Chance
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.domain.event import Event
from muniment.domain.instance import EpochRaised
from muniment.domain.operation import Completed, End, GaveUp, Intended, SubjectKind, UnwindingStarted
from muniment.operations.catalogue import CATALOGUE

LONG_S = 100_000.0
TAKEN_OVER = sorted(set(CASES) - {"delete_instance.1"})
"""All but the one that nothing takes over."""


def calm_world(seed: int = 7) -> World:
    """One in which nothing goes wrong by itself."""
    return World(Chance(Random(seed)), task_managers=1, couriers=1)


def finish(world: World) -> None:
    """Let everything come to its end, and check that all is as it must be."""
    assert world.run_until(world.now_s() + LONG_S, is_done=lambda: world.next_task_s() is None)
    world.cloud.settle()
    world.watch.check_end()


def raised(events: list[Event]) -> list[int]:
    """The epochs that were raised, in their order."""
    return [event.epoch for event in events if isinstance(event, EpochRaised)]


def since(world: World, head: int) -> list[Event]:
    """What was saved since then."""
    return [entry.event for entry in world.ledger.log.read(head, 10_000)]


def instance_in(stage: Stage) -> UUID:
    """The instance that a stage's operation is about."""
    subject = stage.operation.subject(SubjectKind.INSTANCE)
    return subject.id if subject is not None else instance_of(stage.world)


@pytest.mark.parametrize("kind", TAKEN_OVER)
def test_reset_and_delete_raise_the_epoch_whatever_runs(kind: str) -> None:
    """At any moment of any operation: in their one save, above every command that was made before."""
    stage = Stage(CATALOGUE, CASES[kind])
    world, requests = stage.world, Requests(stage.world)
    world.run_until(world.now_s() + Random(kind).uniform(0, 30))
    instance_id = instance_in(stage)
    for take_over in (requests.reset, requests.delete):
        head = world.ledger.log.head()
        epoch = world.instance(instance_id).epoch
        take_over(instance_id)
        assert raised(since(world, head)) == [epoch + 1]
    made = [e.epoch for e in since(world, 0) if isinstance(e, Intended) and e.epoch is not None]
    assert all(epoch < world.instance(instance_id).epoch for epoch in made)


def test_a_reset_ends_what_the_guest_does_once_it_hears_of_it() -> None:
    """A backup that is being written is ended by the next command; without a raised epoch it would be completed."""
    world = calm_world()
    requests, instance_id = Requests(world), running_instance(world)
    world.chance.random.uniform = lambda low, high: high  # type: ignore[method-assign]  # everything takes its longest
    backing_up = requests.back_up(world.instance(instance_id)).operation_id
    world.on_reach = lambda step, point: (
        requests.reset(instance_id) and None if (step, point) == ("upload", "after_effect") else None
    )
    world.run_until(world.now_s() + LONG_S, is_done=lambda: backing_up in world.watch.ended)
    assert world.watch.ended[backing_up] is End.RESET
    restarting = requests.restart(world.instance(instance_id)).operation_id
    finish(world)
    assert world.watch.ended[restarting] is End.SUCCEEDED
    assert list(world.objects.objects.values()) == [{"segment-1"}]


def test_an_unwinding_that_removes_the_server_raises_the_epoch() -> None:
    """Although the guest answered: in the save that begins to unwind, before the server is asked to go."""
    world = calm_world()
    world.refusals.always.add("server.bootstrap")
    operation_id = Requests(world).create().operation_id
    finish(world)
    assert world.watch.ended[operation_id] is End.FAILED
    events = since(world, 0)
    (unwinding,) = [n for n, event in enumerate(events) if isinstance(event, UnwindingStarted)]
    before = events[unwinding - 1]
    assert isinstance(before, EpochRaised)
    assert (before.epoch, before.at) == (2, events[unwinding].at)


def test_a_known_failure_with_nothing_outstanding_keeps_the_epoch() -> None:
    """Nobody else's command is made stale without need."""
    world = calm_world()
    requests, instance_id = Requests(world), running_instance(world)
    world.refusals.always.add("backup.create")
    operation_id = requests.back_up(world.instance(instance_id)).operation_id
    finish(world)
    assert world.watch.ended[operation_id] is End.FAILED
    assert raised(since(world, 0)) == []


@pytest.mark.parametrize("kind", TAKEN_OVER)
def test_an_unwinding_over_an_unanswered_command_raises_the_epoch(kind: str) -> None:
    """Any operation whose guest falls silent for good gives up under a raised epoch, in one save."""
    stage = Stage(CATALOGUE, CASES[kind])
    world = stage.world
    world.agents_are_dumb = True
    head = world.ledger.log.head()
    world.run_until(world.now_s() + LONG_S, is_done=lambda: stage.operation_id in world.watch.ended)
    events = since(world, head)
    gave_up = [n for n, event in enumerate(events) if isinstance(event, GaveUp)]
    assert any(isinstance(event, Completed) for event in events)
    assert len(gave_up) == (kind != "delete_backup.1"), "nothing more is asked of a guest that was given up"
    assert all(isinstance(events[n + 1], EpochRaised) for n in gave_up)
    assert all(isinstance(events[n + 2], UnwindingStarted) for n in gave_up)
