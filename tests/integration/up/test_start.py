"""Starting `muniment up`: the first time, again, and where it must not."""

import base64
import json
import os
import socket
import stat

import httpx
import pytest
from tests.support.machine import Machine

_ANY = ("--api", "127.0.0.1:0")


def test_doctor_before_the_first_start(machine: Machine) -> None:
    """It tells of the machine and of the port, says what to do, and makes nothing; exit code 1 only when a start would fail."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        taken = _doctor(machine, address)
    free = _doctor(machine, address)

    assert taken["port of the api"] == "wrong"
    assert free == {**free, "data directory": "note", "port of the api": "ok"}
    assert free.keys() >= {"user", "volumes", "free space for volumes", "agents' environment", "docker"}
    assert not machine.data.exists()


def _doctor(machine: Machine, address: str) -> dict[str, str]:
    """The verdict of each thing that it looks at, and the exit code that goes with them."""
    done = machine.muniment("doctor", "--data", str(machine.data), "-o", "json", MUNIMENT_LISTEN_API=address)
    verdicts = {row["about"]: row["verdict"] for row in json.loads(done.stdout)}
    assert done.returncode == int("wrong" in verdicts.values()), done
    return verdicts


def test_a_first_start_makes_what_tenants_need(machine: Machine) -> None:
    """Key, accounts and clouds.yaml are made, readable by the owner alone; the health page is good; a tenant logs in."""
    url = machine.up(*_ANY)
    text = machine.log.read_text()
    assert f"export OS_CLIENT_CONFIG_FILE={machine.data}/clouds.yaml OS_CLOUD=muniment" in text
    assert f"key             {machine.data}/key" in text
    for name in ("key", "users.json", "clouds.yaml", "settings.toml", "ledger.db", "read.db"):
        assert stat.S_IMODE((machine.data / name).stat().st_mode) == 0o600, name
    assert machine.auth()["password"] not in text
    health = httpx.get(f"{url}/healthz").json()
    assert health["status"] == "ok", health
    assert machine.told("instance", "list") == []


def test_the_datastores_of_the_drivers_are_there(machine: Machine) -> None:
    """What the installed drivers bring is registered as events, once, however often it starts."""
    machine.up(*_ANY)
    first = machine.operate("events", "-o", "json").stdout
    assert first.count('"type":"datastore.registered.1"') == 1
    machine.interrupt()
    machine.up()
    assert machine.operate("events", "-o", "json").stdout == first
    with machine.rest() as rest:
        assert [one["name"] for one in rest.get("/datastores").json()["datastores"]] == ["postgresql"]


def test_a_second_control_plane_is_refused(machine: Machine) -> None:
    """One data directory, one control plane; the first one goes on."""
    url = machine.up(*_ANY)
    assert "already runs" in machine.refused()
    assert httpx.get(f"{url}/healthz").is_success


def test_a_taken_port_changes_nothing(machine: Machine) -> None:
    """When the port is in use, the line says so, and nothing of the refused start is left, also no directory above."""
    machine.data = machine.folder / "new" / "deep" / "data"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert f"{address} is in use" in machine.refused("--api", address)
    assert not list(machine.folder.iterdir())


def test_a_refused_start_leaves_an_empty_directory_as_it_was(machine: Machine) -> None:
    """A directory that somebody else made stays, and stays empty; so with a variable that means nothing."""
    machine.data.mkdir()
    assert "not HOST:PORT" in machine.refused("--api", "nowhere")
    assert "overrides no key" in machine.refused(*_ANY, MUNIMENT_LISTEN_APY="127.0.0.1:0")
    assert not list(machine.data.iterdir())


def test_lost_settings_are_not_made_anew(machine: Machine) -> None:
    """Beside everything else a missing settings file is one line, and putting a file there is the way back."""
    machine.up(*_ANY)
    machine.interrupt()
    settings = machine.data / "settings.toml"
    before = settings.read_text()
    settings.unlink()
    assert f"{settings} is missing" in machine.refused(*_ANY)
    assert not settings.exists()
    settings.write_text(before)
    machine.up()


def test_the_key_of_another_ledger(machine: Machine) -> None:
    """A key file that is well formed but not this ledger's is one line; with the right one it starts."""
    machine.up(*_ANY)
    with machine.rest() as rest:
        wanted = {
            "name": "sealed",
            "flavorRef": "1",
            "volume": {"size": 1},
            "datastore": {"type": "postgresql"},
        }
        assert rest.post("/instances", json={"instance": wanted}).is_success
    machine.interrupt()
    key = machine.data / "key"
    before = key.read_bytes()
    key.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    assert f"{key} is not the key of {machine.data / 'ledger.db'}" in machine.refused()
    key.write_bytes(before)
    machine.up()


@pytest.mark.parametrize(
    ("address", "said"),
    [("nowhere", "not HOST:PORT"), ("127.0.0.1:99999", "not HOST:PORT"), ("0.0.0.0:0", "without TLS"), ("192.0.2.1:0", "TLS")],
)  # fmt: skip
def test_an_address_that_cannot_be(machine: Machine, address: str, said: str) -> None:
    """What is no address, or would send passwords over a network in the clear, is refused."""
    assert said in machine.refused("--api", address)


def test_a_restart_keeps_addresses_and_accounts(machine: Machine) -> None:
    """The second start listens where the first did, and the same password logs in."""
    first = machine.up(*_ANY)
    password = machine.auth()["password"]
    assert "keep running" in machine.interrupt()
    assert machine.up() == first
    assert machine.auth()["password"] == password
    assert machine.told("instance", "list") == []


def test_another_address_reaches_clouds_yaml(machine: Machine) -> None:
    """A new address is kept for later starts and written into clouds.yaml."""
    machine.up(*_ANY)
    machine.interrupt()
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{trial.getsockname()[1]}"
    assert machine.up("--api", address) == f"http://{address}"
    assert machine.auth()["auth_url"] == f"http://{address}/identity"
    machine.interrupt()
    assert machine.up() == f"http://{address}"


def test_a_killed_one_starts_again(machine: Machine) -> None:
    """SIGKILL leaves nothing that stands in the way of the next start."""
    first = machine.up(*_ANY)
    machine.kill()
    assert machine.up() == first


def test_a_lost_password_is_set(machine: Machine) -> None:
    """`muniment passwd` sets a password while `up` runs: the old one ends, clouds.yaml has the new one."""
    machine.up(*_ANY)
    old = machine.auth()["password"]
    done = machine.muniment("passwd", "demo", "--data", str(machine.data), text="a new one\n")
    assert done.returncode == 0, done.stderr
    assert machine.auth()["password"] == "a new one" != old
    assert machine.told("instance", "list") == []


def test_a_disk_for_backups_that_is_not_mounted(machine: Machine) -> None:
    """When the chosen directory is not the one of before, the start is refused, or backups would fill the wrong disk."""
    place = machine.folder / "disk"
    place.mkdir()
    machine.up(*_ANY, "--backups", str(place))
    machine.interrupt()
    place.rename(machine.folder / "unmounted")
    place.mkdir()
    assert "is its disk mounted?" in machine.refused()
    place.rmdir()
    (machine.folder / "unmounted").rename(place)


def test_a_place_that_cannot_be_written(machine: Machine) -> None:
    """A directory that cannot be made is one line."""
    machine.data = machine.folder / "file" / "data"
    (machine.folder / "file").touch()
    assert "cannot be made" in machine.refused()
