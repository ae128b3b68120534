"""The conductor: which words of a guest count, for what, and how often."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
import structlog
from tests.support.dispatch_kit import Guest, World
from tests.support.ledgers import ABOUT, VAULT

from muniment.bus.envelope import Kind
from muniment.contract.errors import Code, GuestError
from muniment.contract.messages import (
    Ack,
    Beat,
    Health,
    HealthState,
    Outcome,
    Progress,
    Verdict,
    decode_from_guest,
)
from muniment.dispatch.command_ids import command_id_of
from muniment.dispatch.replies import open_reply
from muniment.dispatch.signals import SignalKind
from muniment.domain.guest import HEALTH_BURST
from muniment.domain.instance import HEALTH_PACE, HealthChanged
from muniment.store.chain import BrokenChain
from muniment.store.writes import CloseCommand


@pytest.fixture(params=["tables", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A control plane over each kind of mail."""
    made = World(request.param)
    yield made
    made.ledger.close()


def done(command_id: UUID | str) -> Outcome:
    """The command succeeded."""
    return Outcome(command_id=UUID(str(command_id)), ok=True, result=b"{}")


def healthy(state: HealthState = HealthState.HEALTHY) -> Beat:
    """A beat that tells the engine's state."""
    return Beat(agent_version="1", health=Health(state=state))


def heard_at(world: World, guest: Guest) -> float | None:
    """When the unanswered command was last heard of."""
    with world.ledger.reading() as reader:
        row = reader.unanswered(guest.instance_id)
    assert row is not None
    return row.heard_at_s


def test_outcome_becomes_a_signal(world: World) -> None:
    """The outcome of the unanswered command reaches its operation, which is due at once."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    guest.say(done(row.id))
    assert world.conductor.run_once() == 1
    (signal,) = world.signals(operation_id)
    assert (signal.kind, str(signal.command_id)) == (SignalKind.OUTCOME, row.id)
    assert decode_from_guest(signal.payload) == done(row.id)
    with world.ledger.reading() as reader:
        queued = reader.queue_row(operation_id)
    assert queued is not None
    assert (queued.pokes, queued.due_s) == (2, world.now_s)


def test_repeated_outcome(world: World) -> None:
    """The journal's answer sent again, in another message, is the same signal."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    guest.say(done(row.id))
    guest.say(done(row.id))
    world.conductor.run_once()
    assert len(world.signals(operation_id)) == 1


def test_replayed_message(world: World) -> None:
    """The same bytes a second time, also to another conductor, have no effect and leave the inbox."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    data = guest.say(done(row.id))
    world.conductor.run_once()
    guest.transport.send(data)
    other = world.new_conductor()
    assert other.run_once() == 1
    assert other.rejected == {"replayed": 1}
    assert other.run_once() == 0


def test_answer_nobody_awaits(world: World) -> None:
    """An outcome of a command that is not the unanswered one is dropped."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    world.ledger.save([], ABOUT, writes=[CloseCommand(UUID(row.id))])
    guest.say(done(row.id))
    guest.say(done(uuid4()))
    world.conductor.run_once()
    assert world.signals(operation_id) == []
    assert world.conductor.rejected == {}


def test_answering_for_another(world: World) -> None:
    """A guest cannot answer another instance's command, whatever it names."""
    victim, operation_id = world.enrolled()
    attacker, _ = world.enrolled()
    row = world.command(victim, operation_id)
    question = world.command(victim, operation_id, op="job.status", query_of=UUID(row.id))
    attacker.say(done(row.id))
    attacker.say(done(question.id))
    attacker.say(Ack(command_id=UUID(row.id), verdict=Verdict.REJECTED))
    attacker.say(Progress(command_id=UUID(row.id), seq=1, phase="x"))
    world.conductor.run_once()
    assert world.signals(operation_id) == []
    assert heard_at(world, victim) is None


def test_speaking_as_another(world: World) -> None:
    """A message that names another instance and is sealed with one's own key is not authentic."""
    victim, _ = world.enrolled()
    attacker, _ = world.enrolled()
    data = attacker.seal(healthy(HealthState.CRASHED))
    attacker.transport.send(data[:12] + victim.instance_id.bytes + data[28:])
    world.conductor.run_once()
    assert world.conductor.rejected == {"not_authentic": 1}
    assert world.instance(victim).health == "unknown"


def test_rejection(world: World) -> None:
    """A refused command is a signal; an accepted one only shows that it arrived."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    guest.say(Ack(command_id=UUID(row.id), verdict=Verdict.ACCEPTED))
    world.conductor.run_once()
    assert world.signals(operation_id) == []
    assert heard_at(world, guest) == world.now_s
    guest.say(Ack(command_id=UUID(row.id), verdict=Verdict.REJECTED, reason="busy"))
    world.conductor.run_once()
    assert [signal.kind for signal in world.signals(operation_id)] == [SignalKind.ACK]


def test_progress(world: World) -> None:
    """Progress moves the moment a job was heard of, and nothing else: no event, no signal."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    head = world.ledger.log.head()
    world.clock.advance(7)
    guest.say(Progress(command_id=UUID(row.id), seq=1, phase="copy"))
    world.conductor.run_once()
    assert heard_at(world, guest) == world.now_s
    assert world.signals(operation_id) == []
    assert world.ledger.log.head() == head


@pytest.mark.parametrize("suffix", ["?1", ""], ids=["made from the command's id", "of its own"])
def test_question_answered(world: World, suffix: str) -> None:
    """The answer to a question about a command is a report to the operation that asked; the question is withdrawn."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    row_id = row.id + suffix if suffix else str(uuid4())
    world.command(guest, operation_id, row_id=row_id, op="job.status", query_of=UUID(row.id))
    guest.say(Outcome(command_id=command_id_of(row_id), ok=True, result=b'{"state":"running"}'))
    world.conductor.run_once()
    (signal,) = world.signals(operation_id)
    assert (signal.kind, str(signal.command_id)) == (SignalKind.REPORT, row.id)
    with world.ledger.reading() as reader:
        assert [kept.id for kept in reader.outbox_of(guest.instance_id)] == [row.id]


def test_live_query(world: World) -> None:
    """The answer to a live query waits, sealed, for the request that asked; it is no event and no signal."""
    guest, _ = world.enrolled()
    row = world.command(guest, None, op="db.list")
    head = world.ledger.log.head()
    secret_name = b'{"items":[{"name":"salaries"}]}'
    guest.say(Outcome(command_id=UUID(row.id), ok=True, result=secret_name))
    world.conductor.run_once()
    with world.ledger.reading() as reader:
        reply = reader.reply(row.id)
        assert reader.outbox_of(guest.instance_id) == []
    assert reply is not None
    assert open_reply(VAULT, reply).result == secret_name
    assert b"salaries" not in reply.sealed
    assert world.ledger.log.head() == head


def test_live_query_refused(world: World) -> None:
    """A guest's error to a live query reaches the request as well."""
    guest, _ = world.enrolled()
    row = world.command(guest, None, op="db.list")
    error = GuestError(code=Code.BUSY, message="starting")
    guest.say(Outcome(command_id=UUID(row.id), ok=False, error=error))
    world.conductor.run_once()
    with world.ledger.reading() as reader:
        reply = reader.reply(row.id)
    assert reply is not None
    assert open_reply(VAULT, reply).error == error


def test_beat(world: World) -> None:
    """A beat moves last-seen; a beat that tells nothing new is no event."""
    guest, _ = world.enrolled()
    guest.say(healthy())
    world.conductor.run_once()
    head = world.ledger.log.head()
    world.clock.advance(30)
    guest.say(healthy())
    guest.say(Beat(agent_version="1"))
    world.conductor.run_once()
    with world.ledger.reading() as reader:
        assert reader.seen_at(guest.instance_id) == world.now_s
    assert world.ledger.log.head() == head


def test_change_of_health(world: World) -> None:
    """Each change of health is one event in the instance's stream, by the project that owns it."""
    guest, _ = world.enrolled()
    for state in (HealthState.STARTING, HealthState.HEALTHY, HealthState.HEALTHY, HealthState.CRASHED):
        guest.say(healthy(state))
    world.conductor.run_once()
    changes = [e for e in world.ledger.history(guest.instance_id) if isinstance(e, HealthChanged)]
    assert [change.state for change in changes] == ["starting", "healthy", "crashed"]
    assert {(change.project_id, change.actor) for change in changes} == {("project-1", "conductor")}


def test_flickering_health(world: World) -> None:
    """A guest that says another health every second makes an event a beat at most, and its next calm beat is believed."""
    guest, _ = world.enrolled()
    for number in range(300):
        guest.say(healthy(HealthState.CRASHED if number % 2 else HealthState.HEALTHY))
        world.conductor.run_once()
        world.clock.advance(1)
    changes = [e for e in world.ledger.history(guest.instance_id) if isinstance(e, HealthChanged)]
    assert HEALTH_BURST <= len(changes) <= HEALTH_BURST + 300 / HEALTH_PACE.total_seconds()
    last = HealthState.HEALTHY if world.instance(guest).health == "crashed" else HealthState.CRASHED
    world.clock.advance(HEALTH_PACE.total_seconds())
    guest.say(healthy(last))
    world.conductor.run_once()
    assert world.instance(guest).health == last


def test_not_understood(world: World) -> None:
    """An authentic message that says nothing we know is dropped, counts as heard, and stops nobody."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    junk = guest.say(b"\xc1 junk")
    guest.say(done(row.id))
    world.conductor.run_once()
    assert world.conductor.rejected == {"undecodable": 1}
    assert len(world.signals(operation_id)) == 1
    guest.transport.send(junk)
    world.conductor.run_once()
    assert world.conductor.rejected["replayed"] == 1


@pytest.mark.parametrize("kind", [Kind.COMMAND, Kind.ROTATE])
def test_kind_that_guests_do_not_send(world: World, kind: Kind) -> None:
    """An answer in an envelope of another kind is no answer."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    guest.transport.send(guest.seal(done(row.id), kind))
    world.conductor.run_once()
    assert world.conductor.rejected == {"undecodable": 1}
    assert world.signals(operation_id) == []


def test_junk_between(world: World) -> None:
    """Whatever else arrives is counted by reason and dropped; what comes behind it is heard."""
    guest, operation_id = world.enrolled()
    row = world.command(guest, operation_id)
    whole = guest.seal(healthy())
    for data in (b"", b"x" * 500, whole[:-1], whole[:80] + b"x" * (len(whole) - 80)):
        guest.transport.send(data)
    guest.say(done(row.id))
    assert world.conductor.run_once() == 5
    assert sum(world.conductor.rejected.values()) == 4
    assert set(world.conductor.rejected) <= {"malformed", "not_authentic"}
    assert len(world.signals(operation_id)) == 1
    assert world.conductor.run_once() == 0


def test_expired(world: World) -> None:
    """A message that was held back past its lifetime is not believed."""
    guest, _ = world.enrolled()
    data = guest.seal(healthy(HealthState.CRASHED))
    world.clock.advance(61)
    guest.transport.send(data)
    world.conductor.run_once()
    assert world.conductor.rejected == {"expired": 1}


def test_rolled_back_guest(world: World) -> None:
    """A guest whose disk was set back, with an older session, is not believed any more."""
    guest, _ = world.enrolled()
    old = guest.new_endpoint(session=world.now_ms - 5000)
    guest.say(healthy())
    data = old.seal(Kind.REPORT, b"", now_ms=world.now_ms, lifetime_ms=60_000)
    guest.transport.send(data)
    world.conductor.run_once()
    assert world.conductor.rejected == {"stale_session": 1}


def test_broken_stream(world: World) -> None:
    """A message that cannot be dealt with, since its instance's stream is broken, does not hold up the others."""
    guest, _ = world.enrolled()
    other, operation_id = world.enrolled()
    row = world.command(other, operation_id)
    _alter_stream(world, guest.instance_id)
    with pytest.raises(BrokenChain):
        world.instance(guest)
    guest.say(healthy())
    other.say(done(row.id))
    with structlog.testing.capture_logs() as records:
        assert world.conductor.run_once() == 2
    assert len(world.signals(operation_id)) == 1
    assert world.conductor.run_once() == 0
    told = [record for record in records if record["log_level"] == "error"]
    assert [record["event"].startswith("the history is broken at position ") for record in told] == [True]
    assert "exc_info" not in told[0]
    assert world.conductor.rejected == {"broken_history": 1}


def _alter_stream(world: World, instance_id: UUID) -> None:
    """Change a stored event behind the store's back."""
    recorder = world.ledger._recorder
    with recorder.writing() as cursor:
        cursor.execute(
            "UPDATE events SET state = CAST('{}' AS BLOB) WHERE originator_id = :id AND originator_version = 2",
            {"id": str(instance_id)},
        )
