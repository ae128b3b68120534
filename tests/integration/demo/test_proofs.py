"""The demo's proofs can fail: one altered event, one altered row, and they do."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.scratch import short_directory

from muniment.fault import Fault
from muniment_cli.demo.operator import Operator
from muniment_cli.demo.proofs import prove_chain, prove_read_models
from muniment_cli.demo.tenant import Tenant


def eventually(holds: Callable[[], bool], limit_s: float = 20) -> None:
    """Wait until it holds; what the last event said is not in the read models at once."""
    ends = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < ends, "it did not come to hold"
        time.sleep(0.05)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory through which the users of engines may pass; pytest's own lets nobody through."""
    with short_directory() as folder:
        yield folder


@pytest.fixture
def operator(home: Path) -> Iterator[Operator]:
    """An installation that was started once, so that its datastores are events and rows, and then killed."""
    made = Operator(home / "data", "127.0.0.1:0")
    try:
        made.start()
        tenant = Tenant(made.clouds_yaml, "muniment")
        eventually(lambda: "default_version" in tenant.get("/datastores/postgresql")["datastore"])
        tenant.close()
        made.kill()
        yield made
    finally:
        made.give_up()


def alter(database: Path, statement: str) -> None:
    """Somebody reaches behind the program; exactly one row is touched."""
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute(statement).rowcount == 1


def test_the_proofs_hold_for_what_was_left_alone(operator: Operator) -> None:
    """An installation that nobody altered passes both proofs."""
    assert "events verified" in prove_chain(operator)
    assert "rows rebuilt and equal" in prove_read_models(operator)


def test_one_altered_event_is_found(operator: Operator, home: Path) -> None:
    """A byte in the body of one event, and the chain is not proven; its log position is named."""
    alter(
        home / "data" / "ledger.db",
        "UPDATE events SET state = CAST(replace(state, 'postgresql', 'postgresqk') AS BLOB) WHERE position = 1",
    )
    with pytest.raises(Fault, match="log_position"):
        prove_chain(operator)


def test_one_altered_row_is_found(operator: Operator, home: Path) -> None:
    """A byte in one row of a read model, and it does not equal what the log says."""
    read_models = home / "data" / "read.db"
    with closing(sqlite3.connect(read_models)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    table = next(name for name in names if name.startswith("datastores_v"))
    alter(
        read_models,
        f"UPDATE {table} SET detail = CAST(replace(detail, 'postgresql', 'postgresqk') AS BLOB)"
        f" WHERE valid_to = (SELECT max(valid_to) FROM {table})",
    )
    with pytest.raises(Fault, match="differ"):
        prove_read_models(operator)
