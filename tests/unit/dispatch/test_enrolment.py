"""The conductor and enrolment: who is let in, once, and what that records."""

from collections.abc import Iterator

import pytest
from tests.support.dispatch_kit import EPOCH, Guest, World
from tests.support.ledgers import ABOUT

from muniment.dispatch.guest_keys import forget_guest, password_digest
from muniment.domain.event import Event
from muniment.domain.instance import DeletionRequested, GuestEnrolled
from muniment.secret import Secret


@pytest.fixture(params=["tables", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A control plane over each kind of mail."""
    made = World(request.param)
    yield made
    made.ledger.close()


def test_admitted(world: World) -> None:
    """A guest with the token learns its keys and settings; the stream names its server; the operation is poked."""
    guest, operation_id = world.enrolled()
    assert guest.admission is not None
    assert guest.admission.settings == {"beat_s": "30"}
    assert guest.admission.server_time_ms == world.now_ms
    assert world.instance(guest).enrolled_server_id == "server-1"
    with world.ledger.reading() as reader:
        row = reader.queue_row(operation_id)
        assert row is not None
        assert (row.pokes, row.due_s) == (1, world.now_s)
        assert password_digest(reader, guest.instance_id) is not None


def test_root_key_is_kept_wrapped(world: World) -> None:
    """The control plane keeps the very root key it gave, and the guest's public key; neither in the clear."""
    guest, _ = world.enrolled()
    assert guest.admission is not None
    root = guest.admission.root_key.reveal()
    with world.ledger.reading() as reader:
        kept = world.keys.root(reader, guest.instance_id, EPOCH)
        wrapped = reader.key("root", str(guest.instance_id), EPOCH)
        shown = world.keys.public_key(reader, guest.instance_id, EPOCH)
    assert kept is not None
    assert kept.reveal() == root
    assert wrapped is not None
    assert root not in wrapped
    assert shown == guest.enrolling.private_key.public_key().public_bytes_raw()


def test_lost_answer(world: World) -> None:
    """A guest that lost the answer and asks again with the same bytes gets the same answer, and one event is recorded."""
    instance_id, _ = world.build()
    guest = Guest(world, instance_id)
    for _ in range(3):
        guest.transport.enrol(guest.enrolling.request, wait_s=0)
        world.conductor.run_once()
    first = guest.transport.enrol(guest.enrolling.request, wait_s=0)
    assert first == guest.transport.enrol(guest.enrolling.request, wait_s=0)
    assert sum(isinstance(event, GuestEnrolled) for event in world.ledger.history(instance_id)) == 1


def test_token_used_before(world: World) -> None:
    """Once the token is burned, another guest with it is refused."""
    guest, _ = world.enrolled()
    thief = Guest(world, guest.instance_id)
    thief.ask()
    world.conductor.run_once()
    assert not thief.ask()
    assert world.conductor.rejected["already_used"] == 1


def test_wrong_token(world: World) -> None:
    """Without the token nobody is let in, and the token stays good for the real guest."""
    instance_id, _ = world.build()
    liar = Guest(world, instance_id, Secret(b"x" * 32))
    liar.ask()
    world.conductor.run_once()
    assert world.conductor.rejected == {"not_authentic": 1}
    guest = Guest(world, instance_id)
    guest.ask()
    world.conductor.run_once()
    assert guest.ask()


def test_too_late(world: World) -> None:
    """After half an hour the token is no longer good."""
    instance_id, _ = world.build()
    world.clock.advance(1800)
    Guest(world, instance_id).ask()
    world.conductor.run_once()
    assert world.conductor.rejected == {"not_open": 1}


def test_being_deleted(world: World) -> None:
    """The guest of an instance that is being deleted is not let in."""
    instance_id, _ = world.build()
    deletion: list[Event] = [DeletionRequested(originator_id=instance_id, originator_version=3)]
    world.ledger.save(deletion, ABOUT)
    Guest(world, instance_id).ask()
    world.conductor.run_once()
    assert world.conductor.rejected == {"not_open": 1}


def test_deleted_guest(world: World) -> None:
    """Once its keys are deleted, also behind this conductor's back, a guest is heard no more and leaves no rows."""
    guest, _ = world.enrolled()
    guest.say(b"")
    world.conductor.run_once()
    world.ledger.save([], ABOUT, writes=forget_guest(guest.instance_id))
    guest.say(b"")
    world.conductor.run_once()
    assert world.conductor.rejected["unknown_key"] == 1
    with world.ledger.reading() as reader:
        assert reader.seen_at(guest.instance_id) is None
        assert reader.window(guest.instance_id, "to_control") is None


def test_recorded_answer_goes(world: World) -> None:
    """The first authentic message shows that the guest has its key; the recorded answer is dropped."""
    guest, _ = world.enrolled()
    guest.say(b"")
    world.conductor.run_once()
    with world.ledger.reading() as reader:
        assert reader.enrolment(guest.instance_id) is None


def test_junk() -> None:
    """What is no request is counted and dropped."""
    world = World("memory")
    world.network.guest(world.build()[0]).enrol(b"junk", wait_s=0)
    world.conductor.run_once()
    assert world.conductor.rejected == {"malformed": 1}
