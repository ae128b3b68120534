"""Projectors as processes: killed in the middle of a batch, two at once."""

import os
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.ledgers import ledger_on
from tests.support.logs import ABOUT, operation_history, requested

from muniment.store.ledger import Ledger
from muniment.store.sqlite import open_sqlite
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.projector import Overtaken, Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.rebuild import rebuild

# Forked, so that the child has the same keys; nothing is open when it is.
_processes = get_context("fork")
LIMIT_S = 30.0


def _filled(path: Path, instances: int) -> None:
    ledger = ledger_on(open_sqlite(path))
    for _ in range(instances):
        instance = uuid4()
        ledger.save([requested(instance), *operation_history(uuid4(), instance)], ABOUT)
    ledger.close()


def _open(directory: Path) -> tuple[Ledger, ReadModel]:
    ledger = ledger_on(open_sqlite(directory / "ledger.db"))
    return ledger, ReadModel.open(directory / "read.db", CATALOGUE)


def _project(directory: Path, limit: int) -> None:
    ledger, read_model = _open(directory)
    projector = Projector(ledger.log, read_model)
    try:
        while projector.run_once(limit=limit):
            pass
    except Overtaken:
        os._exit(3)
    os._exit(0)


def _await_progress(directory: Path, position: int) -> int:
    end = time.monotonic() + LIMIT_S
    read_model = ReadModel.open(directory / "read.db", CATALOGUE)
    try:
        while time.monotonic() < end:
            if (reached := read_model.position()) > position:
                return reached
        raise AssertionError(f"the projector did not pass position {position} within {LIMIT_S} s")
    finally:
        read_model.close()


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_a_projector_killed_in_the_middle_loses_and_repeats_nothing(tmp_path: Path, limit: int) -> None:
    """SIGKILL three times at moments of its own work; the next one goes on, and in the end a rebuild finds all equal."""
    _filled(tmp_path / "ledger.db", instances=100)
    reached = 0
    for _ in range(3):
        process = _processes.Process(target=_project, args=(tmp_path, limit))
        process.start()
        reached = _await_progress(tmp_path, reached)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(LIMIT_S)
    ledger, read_model = _open(tmp_path)

    Projector(ledger.log, read_model).catch_up()

    rebuilt = rebuild(ledger.log, read_model)
    assert rebuilt.proof.is_equal, rebuilt.proof.differences
    assert rebuilt.position == ledger.log.head() == 1100
    read_model.close()
    ledger.close()


def test_of_two_projector_processes_one_stops_and_nothing_is_twice(tmp_path: Path) -> None:
    """Both work on the same file; whoever finds the position moved stops, the other shows everything once."""
    _filled(tmp_path / "ledger.db", instances=60)
    ReadModel.open(tmp_path / "read.db", CATALOGUE).close()
    rivals = [_processes.Process(target=_project, args=(tmp_path, 3)) for _ in range(2)]
    for process in rivals:
        process.start()
    for process in rivals:
        process.join(LIMIT_S)

    assert {process.exitcode for process in rivals} <= {0, 3}
    assert 0 in {process.exitcode for process in rivals}
    ledger, read_model = _open(tmp_path)
    assert read_model.position() == ledger.log.head() == 660
    assert rebuild(ledger.log, read_model).proof.is_equal
    read_model.close()
    ledger.close()
