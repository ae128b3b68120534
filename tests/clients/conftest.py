"""One real `muniment up` with one instance, shared by all tests that ordinary clients run against."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openstack
import pytest
from openstack.connection import Connection
from tests.support.machine import GUEST_PYTHON, LIMIT_S, Machine

_OPENSTACK = Path(sys.executable).parent / "openstack"


class Served:
    """A machine on which `muniment up` runs, as a person with its `clouds.yaml` reaches it."""

    def __init__(self, machine: Machine, rest: httpx.Client) -> None:
        """`rest` is logged in; a log-in costs what a password's hash is meant to cost."""
        self.machine = machine
        self._rest = rest
        self.clouds_yaml = machine.data / "clouds.yaml"

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`openstack --os-cloud muniment …`."""
        environment = {
            "PATH": str(_OPENSTACK.parent),
            "HOME": str(self.machine.folder),
            "OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml),
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.run(
            [str(_OPENSTACK), "--os-cloud", "muniment", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def does(self, *words: str) -> str:
        """A command that must succeed; what it printed."""
        done = self.cli(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(self, *words: str) -> Any:
        """What a command says with `-f json`."""
        return json.loads(self.does(*words, "-f", "json"))

    def names(self, *words: str) -> set[str]:
        """The names in a list command's rows."""
        return {row["Name"] for row in self.told(*words)}

    def sdk(self) -> Connection:
        """A connection of openstacksdk; close it."""
        config = openstack.config.OpenStackConfig(
            config_files=[str(self.clouds_yaml)], vendor_files=[], secure_files=[], load_envvars=False
        )
        return Connection(config=config.get_one("muniment"))

    def get(self, path: str) -> Any:
        """A GET below the project."""
        return self._rest.get(path).raise_for_status().json()

    def is_gone(self, path: str) -> bool:
        """Whether a GET below the project says 404."""
        return self._rest.get(path).status_code == 404

    def settle(self) -> None:
        """Wait until no operation of the project runs."""
        self.machine.wait_for(
            lambda: not self.get("/operations?state=running")["operations"], "operations have ended"
        )


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """`muniment up` on an empty data directory and a free port, for the whole test run."""
    if not GUEST_PYTHON.exists():
        pytest.skip(".venv-guest is not there; `make install` makes it")
    machine = Machine()
    try:
        machine.up("--api", "127.0.0.1:0")
        with machine.rest() as client:
            yield Served(machine, client)
    finally:
        machine.remove()


@pytest.fixture(scope="session")
def shared(served: Served) -> dict[str, Any]:
    """The instance `shared`, made by the CLI, with database `orders` and user `app`, once it is active."""
    made = served.told(
        "database", "instance", "create", "shared", "--flavor", "1", "--size", "1",
        "--datastore", "postgresql", "--datastore-version", "18",
        "--databases", "orders", "--users", "app:first-password",
    )  # fmt: skip
    assert (made["name"], made["datastore"], made["volume"]) == ("shared", "postgresql", 1)
    served.settle()
    found: dict[str, Any] = served.get(f"/instances/{made['id']}")["instance"]
    assert (found["status"], found["operating_status"]) == ("ACTIVE", "HEALTHY"), found
    return found
