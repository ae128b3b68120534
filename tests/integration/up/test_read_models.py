"""Read models taken away under `muniment up`, rebuilt by several at once, and those of another release, with real processes."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from tests.support.machine import Machine

pytestmark = pytest.mark.slow


def _read_files(machine: Machine) -> list[str]:
    return sorted(file.name for file in machine.data.glob("read.db*"))


def test_a_deleted_file_comes_back(machine: Machine) -> None:
    """The running control plane builds it anew and goes on; what is asked meanwhile is never answered with nothing."""
    machine.up("--api", "127.0.0.1:0")
    before = machine.operate("events").stdout
    for name in _read_files(machine):
        (machine.data / name).unlink()

    machine.wait_for(lambda: "read.db" in _read_files(machine), "the read models are built anew")
    machine.wait_for(lambda: machine.operate("status").returncode == 0, "they can be read")

    assert machine.operate("events").stdout == before
    assert machine.operate("rebuild").returncode == 0


def test_read_models_of_another_release_are_left_alone(machine: Machine) -> None:
    """While nothing runs, commands that only look refuse in one line; `rebuild` is the way on."""
    machine.up("--api", "127.0.0.1:0")
    machine.interrupt()
    with closing(sqlite3.connect(machine.data / "read.db")) as database, database:
        database.execute("UPDATE generations SET form = 'x' || form")

    for command in ("status", "events"):
        told = machine.operate(command)
        assert (told.returncode, told.stderr.count("\n")) == (2, 1), told.stderr
        assert "`muniment rebuild`" in told.stderr
    assert "another release" in machine.operate("doctor").stdout
    with closing(sqlite3.connect(machine.data / "read.db")) as database:
        assert database.execute("SELECT form LIKE 'x%' FROM generations").fetchall() == [(1,)]

    rebuilt = machine.operate("rebuild", "-o", "json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert json.loads(rebuilt.stdout)["equal"] is None
    assert machine.operate("status").returncode == 1  # that nothing runs, and nothing worse


def test_of_several_rebuilds_at_once_one_goes_on(machine: Machine) -> None:
    """The others are told so in a line; nothing piles up, and read models stay right."""
    machine.up("--api", "127.0.0.1:0")

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _: machine.operate("rebuild", "-o", "json"), range(4)))

    codes = sorted(done.returncode for done in ended)
    assert codes[0] == 0
    assert set(codes) <= {0, 2}
    assert all(
        "another `muniment rebuild` is at work" in done.stderr for done in ended if done.returncode == 2
    )
    assert all(json.loads(done.stdout)["equal"] for done in ended if done.returncode == 0)
    with closing(sqlite3.connect(machine.data / "read.db")) as database:
        assert database.execute("SELECT count(*) FROM generations").fetchone() == (1,)
