"""Liveness: who counts as lost, when, how often, and how they come back."""

from collections.abc import Iterator

import pytest
from tests.support.dispatch_kit import Guest, World
from tests.support.ledgers import ABOUT

from muniment.contract.messages import Beat, Health, HealthState
from muniment.dispatch.liveness import Liveness
from muniment.domain.event import Event
from muniment.domain.instance import DeletionRequested, HealthChanged

HEALTHY = Beat(agent_version="1", health=Health(state=HealthState.HEALTHY))


@pytest.fixture
def world() -> Iterator[World]:
    """A control plane."""
    made = World()
    yield made
    made.ledger.close()


def states(world: World, guest: Guest) -> list[str]:
    """The changes of health so far."""
    return [e.state for e in world.ledger.history(guest.instance_id) if isinstance(e, HealthChanged)]


def watch(world: World, liveness: Liveness, for_s: float) -> int:
    """Let time pass while watching every five seconds; how many were lost in it."""
    lost = 0
    for _ in range(int(for_s / 5)):
        world.clock.advance(5)
        lost += liveness.run_once()
    return lost


def test_three_beats(world: World) -> None:
    """A guest is lost after 90 s of silence and not before, and is told so once."""
    guest, _ = world.enrolled()
    liveness = Liveness(world.ledger, world.clock)
    liveness.run_once()
    assert watch(world, liveness, 90) == 0
    assert watch(world, liveness, 5) == 1
    assert watch(world, liveness, 100) == 0
    assert states(world, guest) == ["lost"]


def test_told_once_by_all(world: World) -> None:
    """A second watcher, as after a restart, records nothing again."""
    guest, _ = world.enrolled()
    assert watch(world, Liveness(world.ledger, world.clock), 200) == 1
    assert watch(world, Liveness(world.ledger, world.clock), 200) == 0
    assert states(world, guest) == ["lost"]


def test_comes_back(world: World) -> None:
    """With its next beat a lost guest is what it says, and it can be lost again."""
    guest, _ = world.enrolled()
    liveness = Liveness(world.ledger, world.clock)
    watch(world, liveness, 100)
    guest.say(HEALTHY)
    world.conductor.run_once()
    assert watch(world, liveness, 100) == 1
    assert states(world, guest) == ["lost", "healthy", "lost"]


def test_only_the_silent(world: World) -> None:
    """One silent guest among others is lost alone."""
    silent, _ = world.enrolled()
    speaking, _ = world.enrolled()
    liveness = Liveness(world.ledger, world.clock)
    watch(world, liveness, 60)
    speaking.say(HEALTHY)
    world.conductor.run_once()
    assert watch(world, liveness, 60) == 1
    assert states(world, silent) == ["lost"]
    assert states(world, speaking) == ["healthy"]


def test_letters_wait(world: World) -> None:
    """While letters wait unread for longer than a beat nobody is lost: it is we who are silent."""
    guest, _ = world.enrolled()
    guest.say(HEALTHY)
    assert watch(world, Liveness(world.ledger, world.clock), 600) == 0
    assert states(world, guest) == []


def test_after_an_outage(world: World) -> None:
    """A watcher that starts, or was stopped for a while, gives every guest the full time to be heard of."""
    guest, _ = world.enrolled()
    liveness = Liveness(world.ledger, world.clock)
    world.clock.advance(600)
    assert watch(world, liveness, 90) == 0
    world.clock.advance(600)
    assert watch(world, liveness, 90) == 0
    assert watch(world, liveness, 10) == 1
    assert states(world, guest) == ["lost"]


def test_being_deleted(world: World) -> None:
    """The guest of an instance that is being deleted is expected to fall silent."""
    guest, _ = world.enrolled()
    version = world.instance(guest).version + 1
    deletion: list[Event] = [DeletionRequested(originator_id=guest.instance_id, originator_version=version)]
    world.ledger.save(deletion, ABOUT)
    assert watch(world, Liveness(world.ledger, world.clock), 200) == 0


def test_heard_in_between(world: World) -> None:
    """A beat between looking and recording saves the guest from being called lost."""
    guest, _ = world.enrolled()
    world.clock.advance(91)
    liveness = Liveness(world.ledger, world.clock)
    before_s = world.now_s - 90
    guest.say(HEALTHY)
    world.conductor.run_once()
    assert not liveness._lose(guest.instance_id, before_s)
    assert states(world, guest) == ["healthy"]
