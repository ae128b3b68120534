"""Commands for guests are numbered, withdrawn, marked; an instance has one unanswered at most."""

from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.ledgers import ABOUT

from muniment.clock import ManualClock
from muniment.store.conflict import Conflict, InstanceBusy
from muniment.store.ledger import Ledger
from muniment.store.state import OutboxRow
from muniment.store.writes import AddOutbox, CloseCommand, Heard, MarkSent, OpenCommand, Prune, WithdrawOutbox

INSTANCE = UUID(int=7)


def _row(instance: UUID = INSTANCE, row_id: str | None = None) -> OutboxRow:
    return OutboxRow(
        id=row_id or str(uuid4()),
        operation_id=uuid4(),
        instance_id=instance,
        op="database.create",
        op_version=1,
        args=b'{"name": "x"}',
        secret_refs={"password": uuid4()},
        instance_epoch=3,
        set_epoch=1,
        deadline_s=90.0,
    )


def test_a_row_is_read_as_it_was_added(ledger: Ledger) -> None:
    """A relay finds all that it needs to seal a command."""
    row = _row()
    ledger.save([], ABOUT, writes=[AddOutbox(row)])
    with ledger.reading() as reader:
        (due,) = reader.outbox_due(10)
        assert reader.outbox_row(row.id) == due
    assert msgspec.structs.replace(due, sequence=0, added_at_s=0.0) == row


def test_messages_of_an_instance_are_numbered_without_reuse(ledger: Ledger) -> None:
    """Numbers go up by one within an instance, also when the rows before are gone; other instances have their own."""
    first, second, others = _row(), _row(), _row(UUID(int=8))
    ledger.save([], ABOUT, writes=[AddOutbox(first), AddOutbox(second)])
    ledger.save([], ABOUT, writes=[WithdrawOutbox((first.id, second.id))])
    ledger.save([], ABOUT, writes=[AddOutbox(_row()), AddOutbox(others)])
    with ledger.reading() as reader:
        assert [row.sequence for row in reader.outbox_of(INSTANCE)] == [3]
        assert [row.sequence for row in reader.outbox_of(others.instance_id)] == [1]


def test_a_sent_row_is_not_due(ledger: Ledger) -> None:
    """What was handed to a transport waits for its answer, not for the relay."""
    row = _row()
    ledger.save([], ABOUT, writes=[AddOutbox(row)])
    ledger.save([], ABOUT, writes=[MarkSent(row.id, 5.0)])
    with ledger.reading() as reader:
        assert reader.outbox_due(10) == []
        assert [found.sent_at_s for found in reader.outbox_of(INSTANCE)] == [5.0]


def test_the_relay_is_given_a_page_in_order(ledger: Ledger) -> None:
    """The oldest rows come first, at most as many as asked for."""
    rows = [_row(row_id=str(number)) for number in range(5)]
    for row in rows:
        ledger.save([], ABOUT, writes=[AddOutbox(row)])
    with ledger.reading() as reader:
        assert [row.id for row in reader.outbox_due(3)] == ["0", "1", "2"]


def test_a_command_is_sent_once(ledger: Ledger) -> None:
    """Adding a row whose id is there changes nothing."""
    row = _row()
    ledger.save([], ABOUT, writes=[AddOutbox(row), AddOutbox(row)])
    with ledger.reading() as reader:
        assert len(reader.outbox_due(10)) == 1


def test_an_instance_has_one_unanswered_command(ledger: Ledger) -> None:
    """A second command is refused until the first is closed; the whole save with it."""
    first, second, operation = uuid4(), uuid4(), uuid4()
    ledger.save([], ABOUT, writes=[OpenCommand(INSTANCE, first, operation)])
    with pytest.raises(InstanceBusy):
        ledger.save([], ABOUT, writes=[OpenCommand(INSTANCE, second, operation), AddOutbox(_row())])
    with ledger.reading() as reader:
        unanswered = reader.unanswered(INSTANCE)
        assert unanswered is not None
        assert (unanswered.command_id, reader.outbox_due(10)) == (first, [])


def test_busy_is_a_conflict() -> None:
    """Who meets a busy instance decides again, as after any conflict."""
    assert issubclass(InstanceBusy, Conflict)


def test_one_save_closes_a_command_and_opens_the_next(ledger: Ledger) -> None:
    """Whatever order the writes come in, closing comes before opening."""
    first, second, operation = uuid4(), uuid4(), uuid4()
    ledger.save([], ABOUT, writes=[OpenCommand(INSTANCE, first, operation)])
    ledger.save([], ABOUT, writes=[OpenCommand(INSTANCE, second, operation), CloseCommand(first)])
    with ledger.reading() as reader:
        unanswered = reader.unanswered(INSTANCE)
    assert unanswered is not None
    assert unanswered.command_id == second


def test_heard_moves_forward_only(ledger: Ledger) -> None:
    """Progress that arrives late does not make a command look silent."""
    command = uuid4()
    ledger.save([], ABOUT, writes=[OpenCommand(INSTANCE, command, uuid4())])
    for at_s in (30.0, 20.0):
        ledger.save([], ABOUT, writes=[Heard(command, at_s)])
    with ledger.reading() as reader:
        unanswered = reader.unanswered(INSTANCE)
    assert unanswered is not None
    assert unanswered.heard_at_s == 30.0


def test_pruning_removes_queries_past_their_deadline(ledger: Ledger, clock: ManualClock) -> None:
    """A live query that nobody sent in time is gone; a command stays until its operation withdraws it."""
    command = _row()
    query = msgspec.structs.replace(_row(), operation_id=None)
    ledger.save([], ABOUT, writes=[AddOutbox(command), AddOutbox(query)])
    clock.advance(1)
    ledger.save([], ABOUT, writes=[Prune(batches_before_s=0.0)])
    with ledger.reading() as reader:
        assert [row.id for row in reader.outbox_due(10)] == [command.id]
