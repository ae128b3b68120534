"""Making calls: what is made, what is not, and what each outcome is called."""

from collections.abc import Callable
from random import Random
from uuid import UUID

import pytest
from tests.simulation.chance import Chance
from tests.simulation.cloud import SimulatedCloud, SimulatedObjects

from muniment.clock import ManualClock, seconds
from muniment.cloud.recipes import Kind, Recipe, Tag, VolumeRecipe
from muniment.operations.calls import (
    Absent,
    Another,
    Building,
    Call,
    Enrolment,
    Ensured,
    Errored,
    FindOrCreate,
    Gone,
    Look,
    NoAnswer,
    NotMade,
    Observation,
    Refusal,
    Remains,
    RemoveResource,
    Removing,
    Sight,
    Sighted,
)
from muniment.operations.performing import Performer
from muniment.secret import Secret
from muniment.store.conflict import ClaimLost

INSTANCE_ID = UUID(int=1)
TAG = Tag(INSTANCE_ID, "volume")
RECIPE = VolumeRecipe(tag=TAG, size_gib=2)


class Bench:
    """A performer before a cloud in which nothing goes wrong by itself."""

    def __init__(self) -> None:
        self.chance = Chance(Random(1))
        self.clock = ManualClock()
        numbers = iter(range(100))
        self.cloud = SimulatedCloud(
            self.chance, self.now_s, lambda: UUID(int=next(numbers)), self.clock.advance
        )
        self.performer = Performer(self.cloud, SimulatedObjects(self.chance), self.now_s)
        self.opened: list[Enrolment] = []

    def now_s(self) -> float:
        """The present."""
        return seconds(self.clock.now())

    def open_enrolment(self, wanted: Enrolment) -> Secret:
        """Note that an enrolment was opened."""
        self.opened.append(wanted)
        return Secret(b"token")

    def do(self, call: Call) -> Observation:
        """Perform a call."""
        return self.performer.perform(call, open_enrolment=self.open_enrolment)

    def find_or_create(
        self, *, within_s: float = 20.0, recipe: Callable[[Secret], Recipe] = lambda token: RECIPE
    ) -> FindOrCreate:
        """The call that makes a volume."""
        enrolment = Enrolment(INSTANCE_ID, 1)
        return FindOrCreate(Kind.VOLUME, TAG, self.now_s() + within_s, recipe, enrolment)

    def made(self) -> str:
        """A volume that is there, healthy."""
        made = self.cloud.create(RECIPE)
        self.clock.advance(10)
        return made.id


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_not_there_is_made(bench: Bench) -> None:
    """A first call begins to make the resource, with the token of an enrolment that was opened directly before."""
    tokens: list[bytes] = []

    def recipe(token: Secret) -> Recipe:
        tokens.append(token.reveal())
        return RECIPE

    assert isinstance(bench.do(bench.find_or_create(recipe=recipe)), Building)
    assert (tokens, bench.opened) == ([b"token"], [Enrolment(INSTANCE_ID, 1)])


def test_what_is_there_is_found(bench: Bench) -> None:
    """A second call makes nothing, opens no enrolment, and finds the first one's resource."""
    volume_id = bench.made()
    observation = bench.do(bench.find_or_create())
    assert isinstance(observation, Ensured)
    assert (observation.resource.id, len(bench.cloud.things), bench.opened) == (volume_id, 1, [])


def test_no_call_begins_after_its_permit(bench: Bench) -> None:
    """A worker that comes too late makes nothing and says so."""
    assert bench.do(bench.find_or_create(within_s=-0.1)) == NotMade()
    assert not bench.cloud.things


def test_the_permit_is_looked_at_directly_before_the_call(bench: Bench) -> None:
    """Time that passes between the first look at the clock and the call counts."""

    def slow(token: Secret) -> Recipe:
        bench.clock.advance(21)
        return RECIPE

    assert bench.do(bench.find_or_create(recipe=slow)) == NotMade()
    assert not bench.cloud.things


def test_nothing_is_made_for_an_operation_that_another_drives(bench: Bench) -> None:
    """If the enrolment cannot be opened since the claim is lost, the loss is passed on and no server comes to be."""

    def lost(wanted: Enrolment) -> Secret:
        raise ClaimLost("another")

    with pytest.raises(ClaimLost):
        bench.performer.perform(bench.find_or_create(), open_enrolment=lost)
    assert not bench.cloud.things


def test_an_errored_find_is_removed_and_confirmed_gone(bench: Bench) -> None:
    """It counts as a failure only once it is gone; until then it is waited for."""
    bench.cloud.errors_always.add(Kind.VOLUME)
    assert isinstance(bench.do(bench.find_or_create()), Removing)
    assert isinstance(bench.do(Look(Kind.VOLUME, TAG)), Removing)
    bench.clock.advance(10)
    assert bench.do(Look(Kind.VOLUME, TAG)) == Absent(bench.now_s())


def test_what_goes_while_one_looks_was_errored(bench: Bench) -> None:
    """An errored resource that is gone within the call is a known failure at once."""
    bench.cloud.errors_always.add(Kind.VOLUME)
    bench.chance.random.uniform = lambda low, high: 0.0  # type: ignore[method-assign]  # this cloud takes no time
    assert isinstance(bench.do(bench.find_or_create()), Errored)


def test_a_late_resource_is_discarded_unless_it_is_healthy(bench: Bench) -> None:
    """Past its deadline what is still being made has to go, and what is healthy counts after all."""
    bench.cloud.create(RECIPE)
    bench.chance.random.uniform = lambda low, high: 3.0  # type: ignore[method-assign]  # it goes slowly
    assert isinstance(bench.do(Look(Kind.VOLUME, TAG, discard_by_s=bench.now_s() + 20)), Removing)
    bench.clock.advance(10)
    bench.made()
    assert isinstance(bench.do(Look(Kind.VOLUME, TAG, discard_by_s=bench.now_s() + 20)), Ensured)


def test_nothing_is_discarded_after_its_permit(bench: Bench) -> None:
    """A worker that was stopped while it looked removes nothing: another may hold the claim and have found it healthy."""
    bench.cloud.create(RECIPE)
    bench.chance.random.uniform = lambda low, high: 3.0  # type: ignore[method-assign]  # nothing is ready at once
    assert isinstance(bench.do(Look(Kind.VOLUME, TAG, discard_by_s=bench.now_s() - 0.1)), Building)
    assert len(bench.cloud.things) == 1


def test_refusal_and_silence_are_told_apart(bench: Bench) -> None:
    """What was refused did not happen; what was not answered may have."""
    bench.cloud.refuses_once.add(Kind.VOLUME)
    assert bench.do(bench.find_or_create()) == Refusal("no host was found", retryable=True)
    bench.chance.rates = {"cloud_silent_done": 1.0}
    assert isinstance(bench.do(bench.find_or_create()), NoAnswer)
    assert len(bench.cloud.things) == 1


def test_a_sight_touches_nothing(bench: Bench) -> None:
    """It names what is there in whatever condition."""
    assert bench.do(Sight(Kind.VOLUME, TAG)) == Absent(bench.now_s())
    bench.cloud.errors_always.add(Kind.VOLUME)
    volume_id = bench.made()
    assert bench.do(Sight(Kind.VOLUME, TAG)) == Sighted((volume_id,))
    assert bench.cloud.things[volume_id].going_until_s is None


def test_gone_is_what_the_cloud_confirms_by_id(bench: Bench) -> None:
    """A removal that was accepted is not one that has happened."""
    call = RemoveResource(Kind.VOLUME, TAG, bench.made())
    assert isinstance(bench.do(call), Remains)
    bench.clock.advance(10)
    assert bench.do(call) == Gone()


def test_a_twin_is_found_once_the_other_is_gone(bench: Bench) -> None:
    """A doubled resource is not left behind."""
    volume_id, twin_id = bench.made(), bench.made()
    call = RemoveResource(Kind.VOLUME, TAG, volume_id)
    bench.do(call)
    bench.clock.advance(10)
    assert bench.do(call) == Another(twin_id)
