"""What a guest says of itself unasked: when, how much, and what counts as news."""

from muniment.contract.messages import Beat, Health, HealthState, VolumeFacts
from muniment_guest.health import HealthWatch, Pulse


class Time:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Engine:
    """Counts how often it is asked how it is."""

    def __init__(self) -> None:
        self.health = Health(state=HealthState.HEALTHY, uptime_s=1.0)
        self.probes = 0

    def probe(self) -> Health:
        self.probes += 1
        return self.health


def test_healthy_engine_is_news_once() -> None:
    """How long it has been up is not news."""
    time, engine = Time(), Engine()
    watch = HealthWatch(engine.probe, elapsed=time)
    assert watch.tend(is_wanted=True, is_running=True)
    engine.health = Health(state=HealthState.HEALTHY, uptime_s=99.0)
    time.now += 5
    assert not watch.tend(is_wanted=True, is_running=True)
    assert engine.probes == 2


def test_probes_are_five_seconds_apart_and_sooner_while_it_starts() -> None:
    """An engine that starts is looked at twice a second."""
    time, engine = Time(), Engine()
    watch = HealthWatch(engine.probe, elapsed=time)
    engine.health = Health(state=HealthState.STARTING)
    watch.tend(is_wanted=True, is_running=True)
    assert watch.due_in_s() == 0.5
    engine.health = Health(state=HealthState.HEALTHY)
    watch.tend(is_wanted=True, is_running=True, at_once=True)
    assert watch.due_in_s() == 5.0


def test_death_is_noticed_without_waiting_for_the_next_probe() -> None:
    """Whether its process lives is looked at each time."""
    time, engine = Time(), Engine()
    watch = HealthWatch(engine.probe, elapsed=time)
    watch.tend(is_wanted=True, is_running=True)
    assert watch.tend(is_wanted=True, is_running=False, has_died=True)
    assert watch.health.state is HealthState.CRASHED


def test_engine_that_is_down_is_stopped_starting_or_crashed() -> None:
    """Which, depends on whether it is meant to run and has run."""
    watch = HealthWatch(Engine().probe, elapsed=Time())
    watch.tend(is_wanted=False, is_running=False, at_once=True)
    assert watch.health.state is HealthState.STOPPED
    watch.tend(is_wanted=True, is_running=False, at_once=True)
    assert watch.health.state is HealthState.STARTING
    watch.tend(is_wanted=True, is_running=False, has_died=True, at_once=True)
    assert watch.health.state is HealthState.CRASHED


def full() -> Beat:
    return Beat(
        agent_version="1",
        health=Health(state=HealthState.HEALTHY),
        volume=VolumeFacts(
            filesystem="directory",
            uuid=None,
            size_bytes=2,
            used_bytes=1,
            available_bytes=1,
            reflink=False,
            enforced=False,
        ),
        public_key=b"k" * 32,
    )


def test_beats_are_thirty_seconds_apart_and_full_every_ten_minutes() -> None:
    """In between they say only that the guest lives, how it is, and its key."""
    time = Time()
    pulse = Pulse(elapsed=time)
    beats = []
    for _ in range(1201):
        if (beat := pulse.beat(full, changed=False)) is not None:
            beats.append((time.now - 100.0, beat.volume is not None, beat.public_key))
        time.now += 1
    assert [at for at, _, _ in beats] == [30.0 * n for n in range(41)]
    assert [at for at, is_full, _ in beats if is_full] == [0.0, 600.0, 1200.0]
    assert {key for _, _, key in beats} == {b"k" * 32}


def test_every_beat_tells_the_health() -> None:
    """So a change that the control plane passed over, and the return of one who counted as lost, is known a beat later."""
    time = Time()
    pulse = Pulse(elapsed=time)
    for _ in range(4):
        beat = pulse.beat(full, changed=False)
        assert beat is not None
        assert beat.health == full().health
        time.now += 30


def test_change_is_said_at_once_and_in_full() -> None:
    """It also puts off the next regular beat."""
    time = Time()
    pulse = Pulse(elapsed=time)
    pulse.beat(full, changed=False)
    time.now += 1
    beat = pulse.beat(full, changed=True)
    assert beat is not None
    assert beat.health is not None
    assert pulse.due_in_s() == 30.0
