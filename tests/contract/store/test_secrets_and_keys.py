"""Sealed values live as long as their operation, wrapped keys until they are deleted."""

from uuid import uuid4

from tests.support.ledgers import ABOUT

from muniment.clock import ManualClock, seconds
from muniment.store.ledger import Ledger
from muniment.store.state import KeyRow, SecretRow
from muniment.store.writes import DeleteKey, Prune, PutKey, PutSecret


def test_a_secret_is_found_by_its_reference(ledger: Ledger) -> None:
    """What was put is read, and an unknown reference is none."""
    row = SecretRow(uuid4(), "user-secret", uuid4(), b"sealed", 9e9)
    ledger.save(
        [], ABOUT, writes=[PutSecret(row.ref, row.purpose, row.owner_operation_id, row.sealed, row.expires_s)]
    )
    with ledger.reading() as reader:
        assert reader.secret(row.ref) == row
        assert reader.secret(uuid4()) is None


def test_keys_are_kept_by_purpose_owner_and_epoch(ledger: Ledger) -> None:
    """Each epoch has a key of its own, and a key that is wrapped anew replaces its row."""
    writes = [PutKey("root", "instance-1", epoch, b"old") for epoch in (2, 1)]
    ledger.save([], ABOUT, writes=[*writes, PutKey("backup", "instance-1", 1, b"backup")])
    ledger.save([], ABOUT, writes=[PutKey("root", "instance-1", 2, b"new")])
    with ledger.reading() as reader:
        assert reader.key("root", "instance-1", 2) == b"new"
        assert reader.key("root", "instance-1", 3) is None
        assert reader.keys("root", "instance-1") == [
            KeyRow("root", "instance-1", 1, b"old"),
            KeyRow("root", "instance-1", 2, b"new"),
        ]


def test_any_key_of_a_purpose(ledger: Ledger) -> None:
    """One that is there, of no other purpose, or none."""
    with ledger.reading() as reader:
        assert reader.any_key("root") is None
    ledger.save([], ABOUT, writes=[PutKey("backup", "b", 1, b"backup"), PutKey("root", "i", 3, b"key")])
    with ledger.reading() as reader:
        assert reader.any_key("root") == KeyRow("root", "i", 3, b"key")


def test_one_epoch_or_all_are_deleted(ledger: Ledger) -> None:
    """Retiring an epoch leaves the others; deleting an owner's keys leaves none."""
    ledger.save([], ABOUT, writes=[PutKey("root", "instance-1", epoch, b"key") for epoch in (1, 2, 3)])
    ledger.save([], ABOUT, writes=[DeleteKey("root", "instance-1", 1)])
    with ledger.reading() as reader:
        assert [row.epoch for row in reader.keys("root", "instance-1")] == [2, 3]
    ledger.save([], ABOUT, writes=[DeleteKey("root", "instance-1")])
    with ledger.reading() as reader:
        assert reader.keys("root", "instance-1") == []


def test_pruning_removes_what_is_past_its_time(ledger: Ledger, clock: ManualClock) -> None:
    """Expired rows and old ids of saves go; what is still of use stays."""
    now_s, past, coming, batch = seconds(clock.now()), uuid4(), uuid4(), uuid4()
    put = [
        PutSecret(past, "user-secret", uuid4(), b"1", now_s + 5),
        PutSecret(coming, "user-secret", uuid4(), b"2", now_s + 50),
    ]
    ledger.save([], ABOUT, writes=put, batch=batch)
    clock.advance(10)
    ledger.save([], ABOUT, writes=[Prune(batches_before_s=now_s)])
    assert ledger.find(batch) is not None
    ledger.save([], ABOUT, writes=[Prune(batches_before_s=now_s + 1)])
    assert ledger.find(batch) is None
    with ledger.reading() as reader:
        assert reader.secret(past) is None
        assert reader.secret(coming) is not None
