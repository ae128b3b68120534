"""Every recorder under one suite; another store joins by a line in `_OPENERS`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.ledgers import ledger_on

from muniment.clock import ManualClock
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment.store.sqlite import SQLiteRecorder, open_sqlite

_OPENERS: dict[str, Callable[[Path], SQLiteRecorder]] = {
    "memory": lambda _: open_memory(),
    "sqlite": lambda folder: open_sqlite(folder / "ledger.db"),
}


@pytest.fixture(params=_OPENERS)
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLiteRecorder]:
    """A new, empty store."""
    opened = _OPENERS[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> ManualClock:
    """The ledger's clock."""
    return ManualClock()


@pytest.fixture
def ledger(recorder: SQLiteRecorder, clock: ManualClock) -> Ledger:
    """A ledger over the store."""
    return ledger_on(recorder, clock)
