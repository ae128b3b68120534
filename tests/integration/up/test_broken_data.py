"""What is wrong with a data directory is one line and exit code 2."""

from collections.abc import Iterator

import pytest
from tests.support.machine import Machine


@pytest.fixture(scope="module")
def started() -> Iterator[Machine]:
    """A complete data directory on which nothing runs."""
    made = Machine()
    made.up("--api", "127.0.0.1:0")
    made.interrupt()
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def copied(started: Machine, machine: Machine) -> None:
    """A copy of it for each test to break."""
    started.copy_to(machine)


def test_an_unknown_settings_key(machine: Machine) -> None:
    """The key is named."""
    settings = machine.data / "settings.toml"
    settings.write_text(settings.read_text() + "[local]\nflavours = 3\n")
    assert "local.flavours is unknown" in machine.refused()


def test_an_unknown_variable(machine: Machine) -> None:
    """The variable is named."""
    assert "MUNIMENT_LISTEN_APY" in machine.refused(MUNIMENT_LISTEN_APY="x")


def test_a_gateway_for_other_machines(machine: Machine) -> None:
    """Plain HTTP is for this machine alone, and the gateway speaks nothing else; its setting is named."""
    assert "listen.gateway in" in machine.refused(MUNIMENT_LISTEN_GATEWAY="0.0.0.0:0")


def test_a_missing_key_file(machine: Machine) -> None:
    """The file is named; no new key is made, under which nothing would open."""
    (machine.data / "key").unlink()
    told = machine.refused()
    assert f"{machine.data}/key" in told
    assert "put your copy back" in told
    assert not (machine.data / "key").exists()


def test_a_key_file_that_others_read(machine: Machine) -> None:
    """The mode is named, with the command that mends it."""
    (machine.data / "key").chmod(0o644)
    assert "chmod" in machine.refused()


def test_another_version(machine: Machine) -> None:
    """A data directory of another version is not touched."""
    (machine.data / "version").write_text("2\n")
    assert "version '2'" in machine.refused()


def test_a_users_file_that_is_none(machine: Machine) -> None:
    """The file is named."""
    (machine.data / "users.json").write_text("{}")
    assert "users.json" in machine.refused()


def test_a_ledger_that_is_none(machine: Machine) -> None:
    """A database that is damaged is named."""
    (machine.data / "ledger.db").write_bytes(b"not a database" * 1000)
    assert "ledger.db" in machine.refused()


def test_backups_are_settled(machine: Machine) -> None:
    """Where backups lie is not changed by the way."""
    assert "only a first start" in machine.refused("--backups", str(machine.folder))
