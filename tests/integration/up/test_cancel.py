"""An operation that is cancelled on a real `up`: what the service, the command line and the machine show of it."""

import json
from pathlib import Path

import pytest
from tests.support.machine import Machine

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("engines")]


def test_a_create_is_cancelled_while_its_server_comes_up(machine: Machine) -> None:
    """Nothing of it is left on the machine; the instance says that it was cancelled, and can be deleted."""
    machine.up("--api", "127.0.0.1:0")
    wanted = {"name": "shop", "flavorRef": "1", "volume": {"size": 1}, "access": {"allowed_cidrs": []}}
    with machine.rest() as rest:
        instance = rest.post("/instances", json={"instance": wanted}).raise_for_status().json()["instance"]
        machine.wait_for(machine.agents, "an agent runs")
        (operation,) = rest.get("/operations", params={"state": "running"}).json()["operations"]
        answer = rest.post(f"/operations/{operation['id']}/cancel")
    assert answer.status_code == 202, answer.text

    shown = machine.tenant("operation", "show", operation["id"], "--wait", "-o", "json")
    ended = json.loads(shown.stdout)
    message = "could not create the instance: it was cancelled"
    assert (shown.returncode, shown.stderr.splitlines()[-1]) == (1, f"muniment: {message}")
    assert (ended["status"], ended["is_cancelled"], ended["message"]) == ("failed", True, message)
    assert not machine.agents()
    assert not _left(machine)

    refused = machine.tenant("operation", "cancel", operation["id"])
    assert refused.returncode == 2
    assert refused.stderr == f"muniment: operation {operation['id']} has ended already: failed\n"
    assert machine.told("operation", "list", "--instance", "shop") == [ended]
    fault = machine.told("instance", "show", instance["id"])["fault"]["message"]
    assert fault == f"{message}; what was made for it is removed, delete the instance and create another"
    deleted = machine.tenant("instance", "delete", "shop", "--yes", "--wait")
    assert deleted.returncode == 0, deleted.stderr


def _left(machine: Machine) -> list[Path]:
    """Servers and volumes of the local cloud."""
    return [*machine.data.glob("cloud/servers/*"), *machine.data.glob("cloud/volumes/*")]
