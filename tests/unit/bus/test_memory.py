"""The memory transport's switches: each fault does what it says, and a seed repeats a run."""

from random import Random
from uuid import UUID

import pytest
from tests.support.bus_kit import INSTANCE, OTHER

from muniment.bus.transports.memory import Faults, MemoryNetwork
from muniment.clock import ManualClock, seconds
from muniment.fault import Fault


def network(faults: Faults | None = None, seed: int = 1) -> MemoryNetwork:
    """A network that stands at a fixed moment."""
    return MemoryNetwork(ManualClock(), Random(seed), faults)


def delivered(net: MemoryNetwork, *messages: bytes, instance_id: UUID = INSTANCE) -> list[bytes]:
    """What a guest gets when these are sent to it."""
    for message in messages:
        net.control.send(instance_id, message, expires_s=0)
    return list(net.guest(instance_id).receive(wait_s=0))


def test_drop() -> None:
    """A dropped message does not arrive, and is counted."""
    net = network(Faults(drop=1.0))
    assert delivered(net, b"a", b"b") == []
    assert net.counts["drop"] == 2


def test_repeat() -> None:
    """A repeated message arrives twice."""
    assert delivered(network(Faults(repeat=1.0)), b"a") == [b"a", b"a"]


def test_reorder() -> None:
    """A message that overtakes arrives before those that wait."""
    net = network()
    net.control.send(INSTANCE, b"first", expires_s=0)
    net.faults = Faults(reorder=1.0)
    assert delivered(net, b"second") == [b"second", b"first"]


def test_corrupt() -> None:
    """A corrupted message differs in one bit."""
    (got,) = delivered(network(Faults(corrupt=1.0)), bytes(20))
    assert int.from_bytes(got).bit_count() == 1


def test_delay() -> None:
    """A delayed message arrives when its time has come, which the network tells beforehand."""
    clock = ManualClock()
    net = MemoryNetwork(clock, Random(1), Faults(delay=1.0, delay_s_max=60))
    assert delivered(net, b"late") == []
    due_s = net.next_due_s()
    assert due_s is not None
    clock.advance(due_s - seconds(clock.now()) + 0.001)
    assert list(net.guest(INSTANCE).receive(wait_s=0)) == [b"late"]
    assert net.next_due_s() is None


def test_cut() -> None:
    """A guest out of reach hears nothing and cannot send; what waited is there when it is back."""
    net = network()
    guest = net.guest(INSTANCE)
    net.control.send(INSTANCE, b"a", expires_s=0)
    net.cut(INSTANCE)
    with pytest.raises(Fault):
        guest.receive(wait_s=0)
    with pytest.raises(Fault):
        guest.send(b"b")
    net.heal(INSTANCE)
    assert list(guest.receive(wait_s=0)) == [b"a"]


def test_others_are_not_cut() -> None:
    """Cutting one guest leaves the others alone."""
    net = network()
    net.cut(OTHER)
    assert delivered(net, b"a") == [b"a"]


def test_repeats_from_a_seed() -> None:
    """The same seed makes the same faults."""
    faults = Faults(drop=0.3, repeat=0.3, reorder=0.3, corrupt=0.3)
    messages = [bytes((n,)) * 8 for n in range(50)]
    assert delivered(network(faults, 7), *messages) == delivered(network(faults, 7), *messages)
    assert delivered(network(faults, 7), *messages) != delivered(network(faults, 8), *messages)
