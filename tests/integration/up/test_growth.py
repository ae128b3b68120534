"""A volume that grows under its database, with a real PostgreSQL on a file system of its own."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest
from tests.support.machine import Machine

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.usefixtures("engines"),
    pytest.mark.skipif(os.geteuid() != 0, reason="volumes whose size is enforced need root"),
]

_INSTANCE = ("instance", "create", "shop", "--size", "1", "--database", "shop", "--user", "app", "--wait")
_GIB = 1024**3
_LOG_BYTES = 64 * 1024**2
"""What mkfs.xfs takes of 1 GiB for the log of the file system, which growth leaves as it is."""
_KNOWN_WITHIN_S = 30.0


class Writer:
    """Inserts one row after the other, each acknowledged before the next, and remembers the last one."""

    def __init__(self, line: str) -> None:
        self._line = line
        self.acknowledged = 0
        self.refused = ""
        self._stops = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stops.set()
        self._thread.join()

    def _run(self) -> None:
        command = f"{self._line} -X -q -A -t -v ON_ERROR_STOP=1"
        with subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as psql:
            assert psql.stdin is not None
            assert psql.stdout is not None
            assert psql.stderr is not None
            while not self._stops.is_set():
                psql.stdin.write("INSERT INTO written DEFAULT VALUES RETURNING id;\n")
                psql.stdin.flush()
                if not (answer := psql.stdout.readline()).strip():
                    self.refused = psql.stderr.read()
                    return
                self.acknowledged = int(answer)
            psql.stdin.close()


@pytest.fixture
def line(machine: Machine) -> str:
    """The psql command of a database with 1 GiB."""
    machine.up("--api", "127.0.0.1:0")
    connect = machine.told(*_INSTANCE)["connect"]
    assert _query(connect, "CREATE TABLE written(id bigserial PRIMARY KEY)") == "CREATE TABLE"
    return connect


def _kill_agent(machine: Machine) -> None:
    (agent,) = machine.agents().values()
    os.kill(agent, signal.SIGKILL)


def _kill_up(machine: Machine) -> None:
    machine.kill()
    machine.up("--api", "127.0.0.1:0")


@pytest.mark.parametrize("mistreat", [None, _kill_agent, _kill_up])
def test_grows_under_a_writer(
    machine: Machine, line: str, mistreat: Callable[[Machine], None] | None
) -> None:
    """No statement is refused and no acknowledged row is lost, whoever is killed on the way; the file system has the size."""
    with Writer(line) as writer:
        machine.wait_for(lambda: writer.acknowledged > 10, "rows are written")
        assert machine.tenant("instance", "resize", "shop", "--size", "3").returncode == 0
        if mistreat is not None:
            mistreat(machine)
        machine.wait_for(lambda: _is_done(machine), "the volume has grown")
        after = writer.acknowledged
        machine.wait_for(lambda: writer.acknowledged > after + 10, "rows are written after it")
    assert writer.refused == ""
    assert int(_query(line, "SELECT count(*) FROM written")) >= writer.acknowledged
    assert _offered_bytes(machine) >= 3 * _GIB - _LOG_BYTES - 1024**2
    shown = machine.told("instance", "show", "shop")
    assert (shown["volume"]["size"], shown.get("fault")) == (3, None)
    assert machine.tenant("instance", "resize", "shop", "--size", "3").returncode != 0


def test_a_full_database_works_again(machine: Machine, line: str) -> None:
    """An engine that died of a full volume is started by the growth: nothing has to be deleted, and the reserve is whole."""
    _query(line, "CREATE TABLE log(t text)")
    _query(line, "ALTER TABLE log ALTER t SET STORAGE EXTERNAL")
    inserted = _until_refused(
        line, "INSERT INTO log SELECT repeat(md5(random()::text), 500) FROM generate_series(1, 1500)"
    )
    _until_refused(line, "SELECT pg_logical_emit_message(false, 'x', repeat('y', 15000000))")

    done = machine.tenant("instance", "resize", "shop", "--size", "2", "--wait")

    assert done.returncode == 0, done.stderr
    machine.wait_for(lambda: _query(line, "INSERT INTO log VALUES ('more')") == "INSERT 0 1", "it writes", 30)
    assert _query(line, "SELECT count(*) FROM log WHERE t <> 'more'") == str(1500 * inserted)
    kept = machine.data.glob
    machine.wait_for(
        lambda: len(list(kept("cloud/servers/*/mount/agent/reserve-*"))) == 4,
        "the reserve is whole",
        _KNOWN_WITHIN_S,
    )


def _is_done(machine: Machine) -> bool:
    shown = machine.told("instance", "show", "shop")
    return shown["status"] == "ACTIVE" and shown["volume"]["size"] == 3


def _offered_bytes(machine: Machine) -> int:
    (mount,) = machine.data.glob("cloud/servers/*/mount")
    facts = os.statvfs(mount)
    return facts.f_blocks * facts.f_frsize


def _query(line: str, statement: str) -> str:
    command = f'{line} -X -A -t -c "{statement}"'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def _until_refused(line: str, statement: str) -> int:
    """How often it succeeded."""
    for done in range(400):
        if not re.match(r"INSERT 0 |[0-9A-F]+/", _query(line, statement)):
            return done
    raise AssertionError("the volume never filled")
