"""`muniment up` on a data directory that was moved, with a real PostgreSQL in it."""

import subprocess
from pathlib import Path

import pytest
from tests.support.machine import Machine

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("engines")]

_INSTANCE = ("instance", "create", "shop", "--size", "1", "--database", "shop", "--user", "app", "--wait")


def test_a_moved_directory_is_refused_and_linked_it_works(machine: Machine) -> None:
    """At another path it is one line that says what to do; done so, the database is back with its rows."""
    machine.up("--api", "127.0.0.1:0")
    line = machine.told(*_INSTANCE)["connect"]
    assert _query(line, "CREATE TABLE kept AS SELECT 42 AS n") == "SELECT 1"
    assert machine.operate("down").returncode == 0
    old, new = machine.data, machine.folder / "elsewhere"
    old.rename(new)
    machine.data = new
    before = _contents(new)

    said = machine.refused()

    assert f"move it back, or link it with `ln -s {new} {old}`, and start with `--data {old}`" in said
    assert _contents(new) == before
    assert not machine.agents()
    old.symlink_to(new)
    machine.data = old
    machine.up()
    machine.wait_for(lambda: _query(line, "SELECT n FROM kept") == "42", "the database is back")


def _contents(data: Path) -> dict[Path, bytes]:
    """The files that tell a start what is where."""
    found = [*data.glob("*"), *data.glob("cloud/*/*/*.json")]
    ours = [
        file
        for file in found
        if file.is_file() and file.name != "lock" and not file.name.startswith("ledger.db-")
    ]
    return {file: file.read_bytes() for file in ours}


def _query(line: str, statement: str) -> str:
    """What a connect line, which begins with the password, answers."""
    command = f"{line} -X -A -t -c '{statement}'"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()
