"""SIGKILL at each step of a creation, for real: of the control plane, and of the agent."""

import os
import signal
from typing import Any

import httpx
import pytest
from tests.support.machine import Machine

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("engines")]

_LIMIT_S = 280.0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["control plane", "agent"])
def test_a_creation_survives(machine: Machine, victim: str) -> None:
    """Killed whenever a step has begun, it goes on where it was, ends well, and leaves one of each resource."""
    machine.up("--api", "127.0.0.1:0")
    done = machine.tenant("instance", "create", "shop", "--database", "shop", "--user", "app", "-o", "json")
    assert done.returncode == 0, done.stderr
    kill = {"control plane": _kill_plane, "agent": _kill_agent}[victim]
    killed_at: list[str] = []
    operation: dict[str, Any] = {}

    def goes_on() -> bool:
        nonlocal operation
        operation = _operation(machine) or operation
        begun = [step["name"] for step in operation.get("steps", []) if step["status"] == "running"]
        for name in [name for name in begun if name not in killed_at][:1]:
            if kill(machine):
                killed_at.append(name)
        return operation.get("ended_at") is not None

    machine.wait_for(goes_on, f"the creation ends although the {victim} is killed", _LIMIT_S)
    assert operation["status"] == "succeeded", operation
    assert len(killed_at) >= 3, killed_at
    assert machine.told("instance", "show", "shop")["status"] == "ACTIVE"
    for kind in ("volumes", "ports", "servers"):
        assert len(list(machine.data.glob(f"cloud/{kind}/*"))) == 1, kind


def _operation(machine: Machine) -> dict[str, Any] | None:
    """The newest operation; None while the API is away."""
    try:
        with machine.rest() as rest:
            found = rest.get("/operations", params={"limit": 1}).json()["operations"]
    except httpx.HTTPError:
        return None
    return found[0] if found else None


def _kill_plane(machine: Machine) -> bool:
    machine.kill()
    machine.up()
    return True


def _kill_agent(machine: Machine) -> bool:
    agents = list(machine.agents().values())
    for pid in agents:
        os.kill(pid, signal.SIGKILL)
    return bool(agents)
