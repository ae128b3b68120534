"""The relay: what is sent, to whom, sealed how, and what is not sent."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from tests.support.dispatch_kit import Guest, World
from tests.support.ledgers import ABOUT, VAULT

from muniment.bus.envelope import EnvelopeError
from muniment.bus.sealing import open_secret
from muniment.bus.window import Replayed
from muniment.contract.messages import Beat, decode_command
from muniment.dispatch.command_ids import command_id_of
from muniment.dispatch.operation_secrets import put_secret
from muniment.dispatch.relay import Relay
from muniment.secret import Secret
from muniment.store.state import OutboxRow
from muniment.store.writes import Prune


@pytest.fixture(params=["tables", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A control plane over each kind of mail."""
    made = World(request.param)
    yield made
    made.ledger.close()


def outbox(world: World, guest: Guest) -> list[OutboxRow]:
    """The instance's rows."""
    with world.ledger.reading() as reader:
        return reader.outbox_of(guest.instance_id)


def test_command_arrives(world: World) -> None:
    """A row reaches its guest as the command it describes, and is marked."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    assert world.relay.run_once() == 1
    (command,) = guest.commands()
    assert (str(command.command_id), command.op, command.args) == (row.id, "db.create", row.args)
    assert outbox(world, guest)[0].sent_at_s == world.now_s
    assert world.relay.run_once() == 0


def test_numbers(world: World) -> None:
    """Session is the incarnation, sequence the row's, expiry its deadline."""
    guest, operation_id = world.enrolled()
    world.command(guest, operation_id)
    world.command(guest, None, op="db.list")
    world.relay.run_once()
    messages = guest.hear()
    assert [(m.session, m.sequence) for m in messages] == [(1, 1), (1, 2)]
    assert messages[0].expires_ms == world.now_ms + 60_000


def test_waits_for_enrolment(world: World) -> None:
    """A row for a guest that has not enrolled waits for it."""
    instance_id, operation_id = world.build()
    guest = Guest(world, instance_id)
    world.command(guest, operation_id)
    assert world.relay.run_once() == 0
    guest.ask()
    world.conductor.run_once()
    guest.ask()
    assert world.relay.run_once() == 1
    assert len(guest.commands()) == 1


def test_past_its_deadline(world: World) -> None:
    """A row whose deadline has passed is not sent, and does not stay."""
    guest, operation_id = world.enrolled()
    world.command(guest, operation_id, deadline_s=10)
    world.clock.advance(10)
    assert world.relay.run_once() == 0
    assert outbox(world, guest) == []
    assert guest.hear() == []


def test_late_on_the_way(world: World) -> None:
    """What is sent in time and arrives after the deadline is refused by its guest."""
    guest, operation_id = world.enrolled()
    world.command(guest, operation_id, deadline_s=10)
    world.relay.run_once()
    world.clock.advance(10.5)
    delivered = guest.transport.receive(wait_s=0)
    reasons = []
    for data in delivered:
        with pytest.raises(EnvelopeError) as caught:
            guest.endpoint.open(data, now_ms=world.now_ms)
        reasons.append(caught.value.reason)
    assert set(reasons) <= {"expired"}


def test_crash_between_send_and_mark(world: World) -> None:
    """A row that is sent twice is one message: its guest accepts the first and knows the second."""
    guest, operation_id = world.enrolled()
    world.command(guest, operation_id)
    other = Relay(world.ledger, VAULT, world.mail, world.clock)
    with world.ledger.reading() as reader:
        parcels = [
            parcel for row in reader.outbox_due(10) if (parcel := other._pack(reader, row)) is not None
        ]
    world.relay.run_once()
    other._send(parcels)
    first, second = guest.transport.receive(wait_s=0)
    guest.endpoint.accept(guest.endpoint.open(first, now_ms=world.now_ms))
    with pytest.raises(Replayed) as caught:
        guest.endpoint.open(second, now_ms=world.now_ms)
    assert decode_command(caught.value.message.body).op == "db.create"


def test_secret(world: World) -> None:
    """A secret goes sealed to the guest's key, for this command; no table or message holds it in the clear."""
    guest, operation_id = world.enrolled()
    ref = uuid4()
    sealed_row = put_secret(
        VAULT, Secret("pass word"), ref=ref, operation_id=operation_id, expires_s=world.now_s + 60
    )
    world.ledger.save([], ABOUT, writes=[sealed_row])
    world.command(guest, operation_id, op="user.create", secret_refs={"password": ref})
    world.relay.run_once()
    (message,) = guest.hear()
    command = decode_command(message.body)
    (secret,) = command.secrets
    opened = open_secret(
        secret.sealed, guest.enrolling.private_key, command_id=command.command_id, name="password"
    )
    assert opened.reveal_text() == "pass word"
    assert b"pass word" not in message.body
    assert b"pass word" not in sealed_row.sealed


def test_secret_of_a_restarted_agent(world: World) -> None:
    """After its restart an agent shows another public key; what is sent then opens with that one."""
    guest, operation_id = world.enrolled()
    restarted = Guest(world, guest.instance_id)
    public_key = restarted.enrolling.private_key.public_key().public_bytes_raw()
    guest.say(Beat(agent_version="1", public_key=public_key))
    world.conductor.run_once()
    ref = uuid4()
    writes = [put_secret(VAULT, Secret("x"), ref=ref, operation_id=operation_id, expires_s=world.now_s + 60)]
    world.ledger.save([], ABOUT, writes=writes)
    world.command(guest, operation_id, op="user.create", secret_refs={"password": ref})
    world.relay.run_once()
    (command,) = guest.commands()
    sealed = command.secrets[0].sealed
    key = restarted.enrolling.private_key
    assert open_secret(sealed, key, command_id=command.command_id, name="password").reveal() == b"x"


def test_secret_is_gone(world: World) -> None:
    """A command whose secret has expired is not sent."""
    guest, operation_id = world.enrolled()
    ref = uuid4()
    secret = put_secret(VAULT, Secret("x"), ref=ref, operation_id=operation_id, expires_s=world.now_s)
    world.ledger.save([], ABOUT, writes=[secret])
    world.command(guest, operation_id, op="user.create", secret_refs={"password": ref})
    world.ledger.save([], ABOUT, writes=[Prune(batches_before_s=0)])
    assert world.relay.run_once() == 0


def test_secret_of_another_operation(world: World) -> None:
    """A row cannot name a secret that belongs to another operation."""
    guest, operation_id = world.enrolled()
    ref = uuid4()
    secret = put_secret(VAULT, Secret("x"), ref=ref, operation_id=uuid4(), expires_s=world.now_s + 60)
    world.ledger.save([], ABOUT, writes=[secret])
    world.command(guest, operation_id, op="user.create", secret_refs={"password": ref})
    assert world.relay.run_once() == 0


def test_question_about_a_command(world: World) -> None:
    """A question has an id of its own, made from the command's, so it is no repetition of the command."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    asked = world.command(guest, operation_id, row_id=f"{row.id}?1", op="job.status", query_of=UUID(row.id))
    world.relay.run_once()
    first, second = guest.commands()
    assert first.command_id == UUID(row.id)
    assert second.command_id == command_id_of(asked.id) != first.command_id


def test_longest_job(world: World) -> None:
    """A job with more than a day is sent all the same; its message lives a day."""
    guest, operation_id = world.enrolled()
    world.command(guest, operation_id, deadline_s=3 * 86400)
    assert world.relay.run_once() == 1
    assert guest.hear()[0].expires_ms == world.now_ms + 86_400_000


def test_live_query_without_an_answer(world: World) -> None:
    """A live query that was sent and never answered goes with the upkeep; an operation's command stays for its operation."""
    guest, operation_id = world.enrolled()
    world.command(guest, None, op="db.list", deadline_s=15)
    row = world.command(guest, operation_id, deadline_s=15)
    world.relay.run_once()
    world.clock.advance(16)
    world.ledger.save([], ABOUT, writes=[Prune(batches_before_s=0)])
    assert [kept.id for kept in outbox(world, guest)] == [row.id]
