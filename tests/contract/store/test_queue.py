"""Operations are driven by one claim at a time; signals reach them and wake them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from tests.support.ledgers import ABOUT, ledger_on

from muniment.clock import ManualClock, seconds
from muniment.store.conflict import ClaimLost, Conflict
from muniment.store.ledger import Claim, Ledger
from muniment.store.sqlite import SQLiteRecorder
from muniment.store.state import OutboxRow, QueueRow, SignalRow
from muniment.store.writes import (
    AddOutbox,
    AddSignal,
    EndLeases,
    EndOperation,
    Enqueue,
    OpenCommand,
    Poke,
    PutSecret,
    RenewClaim,
    Requeue,
    UseSignals,
    Write,
)

LEASE_S = 60.0


@pytest.fixture
def write(ledger: Ledger) -> Callable[..., None]:
    """Saves writes alone."""

    def save(*writes: Write) -> None:
        ledger.save([], ABOUT, writes=writes)

    return save


@pytest.fixture
def operation(write: Callable[..., None]) -> UUID:
    """An operation that is due."""
    operation_id = uuid4()
    write(Enqueue(operation_id, "file_deed.1", 0.0))
    return operation_id


def _row(ledger: Ledger, operation: UUID) -> QueueRow:
    with ledger.reading() as reader:
        row = reader.queue_row(operation)
    assert row is not None
    return row


def _claim(ledger: Ledger, owner: str = "taskmanager-1") -> Claim:
    claim = ledger.claim(owner, lease_s=LEASE_S)
    assert claim is not None
    return claim


def _signal(operation: UUID, *, signal_id: UUID | None = None, at_s: float = 1.0) -> SignalRow:
    return SignalRow(
        id=signal_id or uuid4(),
        operation_id=operation,
        command_id=None,
        kind="cancel",
        payload=b"{}",
        at_s=at_s,
    )


def test_a_claim_numbers_itself(ledger: Ledger, operation: UUID) -> None:
    """A claim names its operation, raises the fence and lasts for the lease."""
    claim = _claim(ledger)
    assert (claim.operation_id, claim.kind, claim.claim_no) == (operation, "file_deed.1", 1)
    row = _row(ledger, operation)
    assert (row.owner, row.lease_until_s, row.is_done) == ("taskmanager-1", claim.lease_until_s, False)


def test_a_claimed_operation_is_nobody_elses(ledger: Ledger, operation: UUID) -> None:
    """While a lease lasts there is nothing to claim."""
    _claim(ledger)
    assert ledger.claim("taskmanager-2", lease_s=LEASE_S) is None


def test_an_operation_that_is_not_due_is_left(
    ledger: Ledger, write: Callable[..., None], clock: ManualClock
) -> None:
    """A due time in the future is the timer of an operation."""
    write(Enqueue(uuid4(), "file_deed.1", seconds(clock.now()) + 10))
    assert ledger.claim("taskmanager-1", lease_s=LEASE_S) is None
    clock.advance(10)
    assert _claim(ledger).claim_no == 1


def test_the_longest_due_comes_first(ledger: Ledger, write: Callable[..., None]) -> None:
    """Operations are claimed in the order in which they became due."""
    late, early = uuid4(), uuid4()
    write(Enqueue(late, "file_deed.1", 20.0), Enqueue(early, "file_deed.1", 10.0))
    assert [_claim(ledger).operation_id for _ in range(2)] == [early, late]


def test_a_lease_that_ran_out_is_taken_over(ledger: Ledger, operation: UUID, clock: ManualClock) -> None:
    """Who stalls beyond the lease loses the claim, and his saves are refused."""
    stale = _claim(ledger)
    clock.advance(LEASE_S)
    taken = _claim(ledger, "taskmanager-2")
    assert taken.claim_no == stale.claim_no + 1
    with pytest.raises(ClaimLost):
        ledger.save([], ABOUT, writes=[Requeue(operation, stale.claim_no, 0.0, 0)])
    with pytest.raises(ClaimLost):
        ledger.save([], ABOUT, writes=[RenewClaim(operation, stale.claim_no, 1.0)])
    with pytest.raises(ClaimLost):
        ledger.save([], ABOUT, writes=[EndOperation(operation, stale.claim_no)])
    assert _row(ledger, operation).owner == "taskmanager-2"


def test_a_requeue_gives_the_claim_back(ledger: Ledger, operation: UUID, clock: ManualClock) -> None:
    """After a requeue the operation is due at the given time and nobody's."""
    claim, later = _claim(ledger), seconds(clock.now()) + 5
    ledger.save([], ABOUT, writes=[Requeue(operation, claim.claim_no, later, claim.pokes)])
    row = _row(ledger, operation)
    assert (row.owner, row.lease_until_s, row.due_s) == ("", 0.0, later)


def test_a_poke_during_the_turn_is_not_overwritten(
    ledger: Ledger, operation: UUID, clock: ManualClock, write: Callable[..., None]
) -> None:
    """A signal that came after the turn read makes the requeued operation due at once."""
    claim = _claim(ledger)
    write(AddSignal(_signal(operation)))
    write(Requeue(operation, claim.claim_no, seconds(clock.now()) + 500, claim.pokes))
    assert _row(ledger, operation).due_s == seconds(clock.now())


def test_a_poke_wakes_a_waiting_operation(
    ledger: Ledger, write: Callable[..., None], clock: ManualClock
) -> None:
    """A poke makes due at once what was due later, and leaves alone what is overdue."""
    waiting, overdue = uuid4(), uuid4()
    write(Enqueue(waiting, "file_deed.1", seconds(clock.now()) + 500), Enqueue(overdue, "file_deed.1", 1.0))
    write(Poke(waiting), Poke(overdue))
    assert (_row(ledger, waiting).due_s, _row(ledger, overdue).due_s) == (seconds(clock.now()), 1.0)


def test_renewing_moves_the_lease(ledger: Ledger, operation: UUID) -> None:
    """The holder keeps the claim as long as he renews it."""
    claim = _claim(ledger)
    ledger.save([], ABOUT, writes=[RenewClaim(operation, claim.claim_no, claim.lease_until_s + 30)])
    assert _row(ledger, operation).lease_until_s == claim.lease_until_s + 30


def test_signals_are_read_in_order_and_used_once(
    ledger: Ledger, operation: UUID, write: Callable[..., None]
) -> None:
    """Signals wait in the order they came, a second copy is none, and used ones are gone."""
    first, second = _signal(operation, at_s=1.0), _signal(operation, at_s=2.0)
    write(AddSignal(second))
    write(AddSignal(first))
    write(AddSignal(first))
    with ledger.reading() as reader:
        assert reader.signals(operation) == [first, second]
    write(UseSignals((first.id,)))
    with ledger.reading() as reader:
        assert reader.signals(operation) == [second]


def test_an_operation_is_queued_once(ledger: Ledger, operation: UUID) -> None:
    """A second enqueue of the same operation is a conflict."""
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[Enqueue(operation, "file_deed.1", 5.0)])


def _occupy(ledger: Ledger, operation: UUID) -> None:
    """Give an operation one row in every table that its end has to clear."""
    command, instance = uuid4(), uuid4()
    outbox = OutboxRow(
        id=str(command),
        operation_id=operation,
        instance_id=instance,
        op="deed.file",
        op_version=1,
        args=b"{}",
        secret_refs={},
        instance_epoch=1,
        set_epoch=1,
        deadline_s=9.0,
    )
    writes = [
        AddSignal(_signal(operation)),
        AddOutbox(outbox),
        OpenCommand(instance, command, operation),
        PutSecret(uuid4(), "user-secret", operation, b"sealed", 9e9),
    ]
    ledger.save([], ABOUT, writes=writes)


def _rows_of(recorder: SQLiteRecorder, operation: UUID) -> int:
    tables = {"signals": "operation_id", "outbox": "operation_id", "unanswered": "operation_id"}
    tables["secrets"] = "owner_operation_id"
    with recorder.reading() as cursor:
        total = 0
        for table, column in tables.items():
            cursor.execute(f"SELECT COUNT(*) AS n FROM {table} WHERE {column} = :id", {"id": str(operation)})
            total += cursor.fetchall()[0]["n"]
        return total


def test_the_end_leaves_no_rows(ledger: Ledger, recorder: SQLiteRecorder, operation: UUID) -> None:
    """Signals, outbox rows, the unanswered row and secrets go with the end; another operation's stay."""
    other = uuid4()
    ledger.save([], ABOUT, writes=[Enqueue(other, "file_deed.1", 1e12)])
    _occupy(ledger, operation)
    _occupy(ledger, other)
    claim = _claim(ledger)
    ledger.save([], ABOUT, writes=[EndOperation(operation, claim.claim_no)])
    assert (_rows_of(recorder, operation), _rows_of(recorder, other)) == (0, 4)
    row = _row(ledger, operation)
    assert (row.is_done, row.claim_no) == (True, claim.claim_no + 1)


def test_a_take_over_ends_whoever_holds_the_claim(ledger: Ledger, operation: UUID) -> None:
    """Delete ends a running operation without its claim number; the holder's next save is refused."""
    claim = _claim(ledger)
    ledger.save([], ABOUT, writes=[EndOperation(operation, None)])
    with pytest.raises(ClaimLost):
        ledger.save([], ABOUT, writes=[RenewClaim(operation, claim.claim_no, 1.0)])
    with pytest.raises(Conflict):
        ledger.save([], ABOUT, writes=[EndOperation(operation, None)])


def test_an_ended_operation_is_deaf(ledger: Ledger, operation: UUID) -> None:
    """Nothing is left behind for an operation that nobody drives any more."""
    ledger.save([], ABOUT, writes=[EndOperation(operation, None)])
    ledger.save([], ABOUT, writes=[AddSignal(_signal(operation)), Poke(operation)])
    with ledger.reading() as reader:
        assert (reader.signals(operation), reader.queue()) == ([], [])
    assert ledger.claim("taskmanager-1", lease_s=LEASE_S) is None


def test_claims_of_many_taskmanagers_never_meet(recorder: SQLiteRecorder) -> None:
    """Eight taskmanagers take forty due operations, each once."""
    ledgers, operations = [ledger_on(recorder) for _ in range(8)], {uuid4() for _ in range(40)}
    ledgers[0].save([], ABOUT, writes=[Enqueue(operation, "file_deed.1", 0.0) for operation in operations])

    def take(ledger: Ledger) -> list[UUID]:
        taken = []
        while (claim := ledger.claim("taskmanager", lease_s=LEASE_S)) is not None:
            taken.append(claim.operation_id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [operation for found in pool.map(take, ledgers) for operation in found]
    assert len(taken) == 40
    assert set(taken) == operations


def test_ended_leases_are_free_at_once_and_the_old_holder_is_fenced(ledger: Ledger, operation: UUID) -> None:
    """After a restart nothing waits for the leases of the process that died; had it lived, its saves are refused."""
    stale = _claim(ledger)
    ledger.save([], ABOUT, writes=[EndLeases()])
    taken = _claim(ledger, "taskmanager-2")
    assert taken.operation_id == operation
    with pytest.raises(ClaimLost):
        ledger.save([], ABOUT, writes=[RenewClaim(operation, stale.claim_no, 1.0)])
