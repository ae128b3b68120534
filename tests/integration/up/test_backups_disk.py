"""The disk of the backups goes while `muniment up` runs, and comes back, with a real PostgreSQL."""

import json
from typing import Any

import pytest
from tests.support.machine import Machine

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("engines")]

_INSTANCE = ("instance", "create", "shop", "--size", "1", "--database", "shop", "--user", "app", "--wait")


def test_a_disk_that_goes_and_comes_back(machine: Machine) -> None:
    """Meanwhile no backup counts, none is taken for deleted, and doctor tells; with the disk all goes on by itself."""
    disk, unmounted = machine.folder / "disk", machine.folder / "unmounted"
    disk.mkdir()
    machine.up("--api", "127.0.0.1:0", "--backups", str(disk))
    machine.told(*_INSTANCE)
    assert machine.tenant("backup", "create", "shop", "first", "--wait").returncode == 0
    disk.rename(unmounted)
    disk.mkdir()

    assert machine.tenant("backup", "create", "shop", "second").returncode == 0
    assert machine.tenant("backup", "delete", "first").returncode == 0
    machine.wait_for(lambda: _failures(machine).count("is its disk mounted?") == 3, "the upload has failed")
    findings = _doctor(machine)
    assert findings["backups"]["verdict"] == "wrong"
    assert findings["control plane"]["verdict"] == findings["history"]["verdict"] == "ok"
    assert _statuses(machine) == {"first": "COMPLETED", "second": "BUILDING"}
    assert list(disk.iterdir()) == []

    disk.rmdir()
    unmounted.rename(disk)
    after = {"second": "FAILED"}
    machine.wait_for(lambda: _statuses(machine) == after, "the first backup is deleted, the second ends")
    assert machine.tenant("backup", "create", "shop", "third", "--wait").returncode == 0
    assert "backups" not in _doctor(machine)


def _doctor(machine: Machine) -> dict[str, dict[str, Any]]:
    done = machine.operate("doctor", "-o", "json")
    return {row["about"]: row for row in json.loads(done.stdout)}


def _failures(machine: Machine) -> str:
    """What the tries to write the second backup died of."""
    lines = machine.operate("events").stdout.splitlines()
    return "\n".join(line for line in lines if "operation.step_failed" in line)


def _statuses(machine: Machine) -> dict[str, str]:
    return {row["name"]: row["status"] for row in machine.told("backup", "list")}
