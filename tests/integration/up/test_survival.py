"""What outlives `muniment up`: agents, databases and operations, with a real PostgreSQL."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.support.machine import Machine

from muniment_cli.psql import fitting_psql

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("engines")]

_LIMIT_S = 240.0
_STATEMENTS = ("--size", "1", "--database", "shop", "--user", "app", "--password-stdin")


@pytest.fixture(scope="module")
def running() -> Iterator[Machine]:
    """A machine with one database, up; tests leave it so."""
    machine = Machine()
    machine.up("--api", "127.0.0.1:0")
    made = machine.muniment(
        "instance", "create", "shop", *_STATEMENTS, "--wait", text="secret\n", **_cloud(machine)
    )  # fmt: skip
    assert made.returncode == 0, made.stderr + machine.log.read_text()[-3000:]
    yield machine
    machine.remove()


def _cloud(machine: Machine) -> dict[str, str]:
    return {"OS_CLIENT_CONFIG_FILE": str(machine.data / "clouds.yaml"), "OS_CLOUD": "muniment"}


def _instance(machine: Machine, name: str = "shop") -> dict[str, Any]:
    found: dict[str, Any] = machine.told("instance", "show", name)
    return found


def _query(machine: Machine, statement: str) -> str:
    endpoint = _instance(machine)["endpoints"][0]
    where = f"host={endpoint['host']} port={endpoint['port']} user=app dbname=shop connect_timeout=5"
    done = subprocess.run(
        [_psql(), "-X", "-A", "-t", "-c", statement, where],
        env={**os.environ, "PGPASSWORD": "secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip()


def _psql() -> str:
    return fitting_psql({"datastore": {"version": "18"}}).program


def test_the_psql_line_works(running: Machine) -> None:
    """What `connect` runs reaches the database with the password that was given."""
    assert _query(running, "SELECT session_user") == "app"


def test_the_superuser_comes_and_goes(running: Machine) -> None:
    """`root enable` gives a password that lets in, and after `root disable` it does not."""
    assert running.told("root", "show", "shop")["enabled"] is False

    superuser = running.told("root", "enable", "shop")
    endpoint = _instance(running)["endpoints"][0]
    place = f"host={endpoint['host']} port={endpoint['port']} user={superuser['name']} dbname=shop"
    with psycopg.connect(place, password=superuser["password"]) as session:
        is_super = session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert is_super == (True,)
    assert running.told("root", "show", "shop")["enabled"] is True

    gone = running.muniment("root", "disable", "shop", **_cloud(running))
    assert (gone.returncode, gone.stdout) == (0, "the superuser of shop is disabled\n"), gone.stderr
    assert running.told("root", "show", "shop")["enabled"] is False
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(place, password=superuser["password"])


def test_databases_go_on_without_the_control_plane(running: Machine) -> None:
    """After Ctrl-C the database answers, and the next start finds the same agent."""
    agents = running.agents()
    assert len(agents) == 1
    running.interrupt()
    assert running.agents() == agents
    told = running.operate("status")
    assert told.returncode == 1
    assert "unknown (control plane is down), last known " in told.stdout
    running.up()
    running.wait_for(lambda: _query(running, "SELECT 1") == "1", "the database answers")
    assert running.agents() == agents


def test_a_killed_agent_comes_back(running: Machine) -> None:
    """After a SIGKILL of the agent another one takes over, and the engine never stopped."""
    started = _query(running, "SELECT pg_postmaster_start_time()")
    (server, pid), *_ = running.agents().items()
    os.kill(pid, signal.SIGKILL)
    running.wait_for(lambda: running.agents().get(server) not in (None, pid), "another agent runs")
    assert _query(running, "SELECT pg_postmaster_start_time()") == started


def test_a_moved_gateway_reaches_running_agents(running: Machine) -> None:
    """A changed gateway port is heard of by agents that run: an operation through them works."""
    agents = running.agents()
    running.interrupt()
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    settings = running.data / "settings.toml"
    lines = [
        f'gateway = "127.0.0.1:{port}"' if line.startswith("gateway = ") else line
        for line in settings.read_text().splitlines()
    ]
    settings.write_text("\n".join(lines) + "\n")
    running.up()
    with running.rest() as rest:
        answer = rest.post(
            f"/instances/{_instance(running)['id']}/databases", json={"databases": [{"name": "moved"}]}
        )
        assert answer.status_code == 202, answer.text
    running.wait_for(
        lambda: _query(running, "SELECT count(*) FROM pg_database WHERE datname = 'moved'") == "1",
        "the database was created over the moved gateway",
    )
    assert running.agents() == agents


def test_down_stops_everything_and_up_brings_it_back(running: Machine) -> None:
    """After `down` nothing runs; after `up` the database is back by itself, with its data."""
    _query(running, "CREATE TABLE kept (n integer); INSERT INTO kept VALUES (42)")
    name = _instance(running)["name"]
    down = running.operate("down")
    assert down.returncode == 0, down.stderr
    assert down.stdout == "stopped: the control plane and 1 database\n"
    assert not _processes_in(running.data)
    assert running.operate("down").stdout == "nothing ran\n"
    assert len(running.operate("events", "--instance", name, "--tail", "2").stdout.splitlines()) == 2
    assert "no instance named nobody" in running.operate("events", "--instance", "nobody").stderr
    running.up()
    running.wait_for(lambda: _query(running, "SELECT n FROM kept") == "42", "the database is back")


def test_status_and_doctor_tell_what_runs(running: Machine) -> None:
    """Both see the control plane, the agent and nothing wrong."""
    running.wait_for(
        lambda: _instance(running)["operating_status"] == "HEALTHY", "the agent said that all is well"
    )
    status = running.operate("status")
    assert status.returncode == 0
    assert "127.0." in status.stdout
    doctor = running.operate("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "agent of" in doctor.stdout


def test_the_log_verifies_and_the_read_models_are_what_it_says(running: Machine) -> None:
    """After all that, the chain holds and a rebuild finds every row equal."""
    assert running.operate("verify").returncode == 0
    rebuilt = running.operate("rebuild")
    assert rebuilt.returncode == 0, rebuilt.stdout


def _processes_in(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd").startswith(str(folder)):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_directory_of_sockets_that_was_tidied_away(running: Machine) -> None:
    """Doctor tells, and the restart that it advises puts it back."""
    run = Path((running.data / "run").read_text().splitlines()[0])
    shutil.rmtree(run)
    assert "was taken away" in running.operate("doctor").stdout

    assert running.tenant("instance", "restart", "shop", "--wait").returncode == 0

    assert "was taken away" not in running.operate("doctor").stdout
    assert _query(running, "SELECT 1") == "1"
    assert running.tenant("backup", "create", "shop", "after", "--wait").returncode == 0
