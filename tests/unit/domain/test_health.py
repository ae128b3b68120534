"""How often a guest's health makes an event."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.support.strategies import FLAVOR, VERSION

from muniment.domain.event import Event
from muniment.domain.guest import HEALTH_BURST, fell_silent, health_beaten, health_reported
from muniment.domain.instance import HEALTH_PACE, INSTANCE, Instance, InstanceRequested

START = datetime(2026, 1, 1, tzinfo=UTC)


def new_instance() -> Instance:
    """An instance whose guest has not spoken."""
    requested = InstanceRequested(
        originator_id=uuid4(),
        originator_version=1,
        name="db",
        flavor=FLAVOR,
        volume_size_gib=1,
        datastore=VERSION,
    )
    return after(None, [requested], START)


def after(instance: Instance | None, events: list[Event], at: datetime) -> Instance:
    """The state once these are saved at that moment."""
    state = INSTANCE.fold(instance, [msgspec.structs.replace(event, at=at) for event in events])
    assert state is not None
    return state


def flickering(instance: Instance, times: int, now: datetime) -> Instance:
    """Another health `times` times in one moment, as far as it is recorded."""
    for number in range(times):
        instance = after(instance, health_beaten(instance, f"state {number % 2}", "", now), now)
    return instance


@given(
    st.lists(st.tuples(st.floats(0, 60), st.sampled_from(["healthy", "crashed", "starting"])), max_size=80)
)
def test_any_beats(beats: list[tuple[float, str]]) -> None:
    """However beats come, changes are few, the first ones are recorded, and a pace of calm later the newest is."""
    instance, now, changes = new_instance(), START, 0
    for pause_s, state in beats:
        now += timedelta(seconds=pause_s)
        events = health_beaten(instance, state, "", now)
        if changes < HEALTH_BURST:
            assert bool(events) == (instance.health != state)
        instance = after(instance, list(events), now)
        changes += len(events)
        assert changes <= HEALTH_BURST + (now - START) / HEALTH_PACE
    newest = beats[-1][1] if beats else "healthy"
    now += HEALTH_PACE
    instance = after(instance, health_beaten(instance, newest, "", now), now)
    assert instance.health == newest


def test_silence_and_operations_are_told_always() -> None:
    """Nobody says again that a guest is lost, nor what an operation found; both are rare by themselves."""
    instance = flickering(new_instance(), 50, START)
    assert health_beaten(instance, "healthy", "", START) == []
    assert health_reported(instance, "healthy", "") != []
    assert fell_silent(instance, 90.0) != []


def test_clock_that_was_turned_back_mutes_nobody() -> None:
    """Changes that are yet to come by our clock limit nothing."""
    instance = flickering(new_instance(), 50, START + timedelta(days=365))
    assert health_beaten(instance, "healthy", "", START) != []
