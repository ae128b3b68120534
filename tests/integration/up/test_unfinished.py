"""`muniment up` on a data directory without its version file."""

import pytest
from tests.support.machine import Machine


@pytest.fixture(autouse=True)
def started(machine: Machine) -> None:
    """There is a ledger and everything else, but no version file."""
    machine.up("--api", "127.0.0.1:0")
    machine.kill()
    (machine.data / "version").unlink()


def test_a_lost_version_file_is_all_that_is_made(machine: Machine) -> None:
    """Key and accounts stay, and the old password logs in."""
    before = [(machine.data / name).read_bytes() for name in ("key", "users.json", "clouds.yaml")]
    machine.up()
    assert [(machine.data / name).read_bytes() for name in ("key", "users.json", "clouds.yaml")] == before
    assert machine.told("instance", "list") == []


def test_a_restore_that_lost_the_modes(machine: Machine) -> None:
    """The key is refused in one line, with the command that mends it, and stays."""
    before = (machine.data / "key").read_bytes()
    (machine.data / "key").chmod(0o644)
    assert "chmod" in machine.refused()
    assert (machine.data / "key").read_bytes() == before


def test_a_killed_first_start_is_made_again(machine: Machine) -> None:
    """Killed after its key, it keeps that, and ends with passwords that people can read."""
    key = (machine.data / "key").read_bytes()
    for entry in list(machine.data.iterdir()):
        if entry.name not in ("settings.toml", "key", "run"):
            entry.rename(machine.folder / f"gone-{entry.name}")
    machine.up()
    assert (machine.data / "key").read_bytes() == key
    assert machine.told("instance", "list") == []
