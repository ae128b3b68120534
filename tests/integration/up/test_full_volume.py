"""A volume that its tenant fills to the last block, with a real PostgreSQL on a file system of its own."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.machine import Machine

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.usefixtures("engines"),
    pytest.mark.skipif(os.geteuid() != 0, reason="volumes whose size is enforced need root"),
]

_INSTANCE = ("instance", "create", "shop", "--size", "1", "--database", "shop", "--user", "app", "--wait")
_KNOWN_WITHIN_S = 30.0
_ROWS = "INSERT INTO log(t) SELECT repeat(md5(random()::text), 500) FROM generate_series(1, 1500)"
_INTO_THE_LOG = "SELECT pg_logical_emit_message(false, 'x', repeat('y', 15000000))"
"""Fills the engine's log of what is to be redone; without room for it the engine dies, while tables only refuse rows."""


def test_a_full_volume_is_told_of_and_got_over(machine: Machine) -> None:
    """Known within seconds; the engine dies of it, starts again from the reserve, and rows can be deleted; none is lost."""
    machine.up("--api", "127.0.0.1:0")
    line = machine.told(*_INSTANCE)["connect"]
    _query(line, "CREATE TABLE log(id bigserial PRIMARY KEY, t text)")
    _query(line, "ALTER TABLE log ALTER t SET STORAGE EXTERNAL")
    inserted = _until_refused(line, _ROWS)
    assert _volume(machine)["verdict"] == "wrong" or machine.wait_for(
        lambda: _volume(machine)["verdict"] == "wrong", "doctor tells that it is full", _KNOWN_WITHIN_S
    )
    before = _postmaster(machine)

    _until_refused(line, _INTO_THE_LOG)

    machine.wait_for(lambda: _query(line, "SELECT 1") == "1", "the engine is back")
    if _postmaster(machine) == before:  # it went over it within itself, as it does when it can
        assert machine.tenant("instance", "restart", "shop", "--wait").returncode == 0
    assert _query(line, "SELECT count(*) FROM log") == str(1500 * inserted)
    assert _query(line, "TRUNCATE log") == "TRUNCATE TABLE"
    assert _query(line, _ROWS) == "INSERT 0 1500"
    machine.wait_for(lambda: _volume(machine)["verdict"] == "ok", "doctor is content", _KNOWN_WITHIN_S)
    machine.wait_for(lambda: len(_reserve(machine)) == 4, "the reserve is kept again", _KNOWN_WITHIN_S)


def _until_refused(line: str, statement: str) -> int:
    """How often it succeeded."""
    for done in range(400):
        if not re.match(r"INSERT 0 |[0-9A-F]+/", _query(line, statement)):
            return done
    raise AssertionError("the volume never filled")


def _query(line: str, statement: str) -> str:
    command = f'{line} -X -A -t -c "{statement}"'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def _volume(machine: Machine) -> dict[str, Any]:
    rows = json.loads(machine.operate("doctor", "-o", "json").stdout)
    found: dict[str, Any] = next(row for row in rows if row["about"].startswith("volume of "))
    return found


def _reserve(machine: Machine) -> list[Path]:
    return list(machine.data.glob("cloud/servers/*/mount/agent/reserve-*"))


def _postmaster(machine: Machine) -> str:
    file = next(machine.data.glob("cloud/servers/*/mount/data/postmaster.pid"), None)
    return "" if file is None else file.read_text().splitlines()[0]
