"""Several conductors over one database on disk: each letter has its effect once, whoever takes it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.support.ledgers import ABOUT, VAULT, ledger_on

from muniment.bus.endpoint import Endpoint
from muniment.bus.envelope import Kind
from muniment.bus.keyring import Keyring
from muniment.bus.suite import Direction
from muniment.clock import SystemClock, seconds
from muniment.contract.messages import Outcome, encode
from muniment.dispatch.conductor import Conductor
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.mail import TableMail
from muniment.secret import Secret
from muniment.store.ledger import Ledger
from muniment.store.sqlite import open_sqlite
from muniment.store.state import OutboxRow
from muniment.store.writes import AddOutbox

CLOCK = SystemClock()
ROOT = Secret(bytes(range(32)))
LETTERS = 60


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A store on disk."""
    made = ledger_on(open_sqlite(tmp_path / "ledger.sqlite"), CLOCK)
    yield made
    made.close()


def admitted(ledger: Ledger) -> tuple[UUID, Endpoint]:
    """A guest with a root key, and its end."""
    name = uuid4()
    ledger.save([], ABOUT, writes=GuestKeys(VAULT).admit(name, 1, ROOT, Secret("x"), bytes(32)))
    keys = Keyring(lambda instance_id, epoch: ROOT)
    return name, Endpoint(keys, name, says=Direction.TO_CONTROL, epoch=1, session=1)


def query(ledger: Ledger, name: UUID) -> OutboxRow:
    """A live query on its way."""
    row = OutboxRow(
        id=str(uuid4()),
        operation_id=None,
        instance_id=name,
        op="db.list",
        op_version=1,
        args=b"{}",
        secret_refs={},
        instance_epoch=1,
        set_epoch=0,
        deadline_s=seconds(CLOCK.now()) + 60,
    )
    ledger.save([], ABOUT, writes=[AddOutbox(row)])
    return row


def test_each_letter_once(ledger: Ledger) -> None:
    """Three conductors that race for the letters of one guest lose none, repeat none, and see no attack."""
    name, end = admitted(ledger)
    tables = GatewayTables(ledger, CLOCK)
    rows = [query(ledger, name) for _ in range(LETTERS)]
    now_ms = int(seconds(CLOCK.now()) * 1000)
    for row in rows:
        body = encode(Outcome(command_id=UUID(row.id), ok=True, result=b"{}"))
        tables.file_envelope(name, end.seal(Kind.REPLY, body, now_ms=now_ms, lifetime_ms=60_000))
    conductors = [Conductor(ledger, VAULT, TableMail(ledger), CLOCK) for _ in range(3)]
    together = threading.Barrier(len(conductors))

    def drain(conductor: Conductor) -> None:
        together.wait(20)
        while conductor.run_once(limit=5):
            pass

    threads = [threading.Thread(target=drain, args=(conductor,)) for conductor in conductors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with ledger.reading() as reader:
        assert reader.inbox(1) == []
        assert reader.outbox_of(name) == []
        assert all(reader.reply(row.id) is not None for row in rows)
        window = reader.window(name, "to_control")
    assert window is not None
    assert [sum(conductor.rejected.values()) for conductor in conductors] == [0, 0, 0]
