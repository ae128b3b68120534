"""`muniment service`: what is written, and what is left alone."""

from pathlib import Path

import pytest

from muniment_cli import main
from muniment_cli.commands.service import unit_for


@pytest.fixture
def own_units(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the units of an ordinary user lie."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    folder = tmp_path / "systemd/user"
    folder.mkdir(parents=True)
    return folder


def test_print_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """--print shows the unit."""
    assert main.run(["service", "install", "--print", "--data", "/srv/m"]) == 0
    assert "ExecStart=" in capsys.readouterr().out


def test_a_unit_has_a_plain_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is a path is refused."""
    assert main.run(["service", "install", "--name", "../x"]) == 2


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_the_units_of_others_are_left_alone(
    command: str, own_units: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A unit that was not written by us is neither overwritten nor removed."""
    (own_units / "backup.service").write_text("[Service]\nExecStart=/bin/true\n")
    assert main.run(["service", command, "--name", "backup"]) == 2
    assert "not a unit of ours" in capsys.readouterr().err
    assert (own_units / "backup.service").read_text() == "[Service]\nExecStart=/bin/true\n"


def test_a_unit_knows_what_the_settings_ask_for(tmp_path: Path) -> None:
    """The disk of the backups, and a network where the API listens on it, are waited for."""
    (tmp_path / "settings.toml").write_text(
        '[listen]\napi = "192.0.2.7:8779"\n[backups]\ndirectory = "/mnt/disk2"\n'
    )
    unit = unit_for(tmp_path)
    assert unit.places == (Path("/mnt/disk2"),)
    assert unit.is_reached_from_outside


def test_a_unit_can_come_before_the_data_directory(tmp_path: Path) -> None:
    """Without settings it is what a first start needs."""
    unit = unit_for(tmp_path / "new")
    assert unit.places == ()
    assert not unit.is_reached_from_outside


def test_a_second_installation_has_a_unit_of_its_own(
    own_units: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not replace the first one's; the same one may be written again. Nothing is promised that will not be."""
    monkeypatch.setattr("muniment_cli.commands.service._IS_BOOTED", tmp_path / "no systemd")
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    assert main.run(["service", "install", "--data", first]) == 0
    said = capsys.readouterr().out
    assert f"{first} is not there yet: the first start makes it" in said
    assert "systemd does not run this machine" in said
    assert "next boot" not in said
    written = (own_units / "muniment.service").read_text()

    assert main.run(["service", "install", "--data", second]) == 2
    assert "runs another data directory" in capsys.readouterr().err
    assert (own_units / "muniment.service").read_text() == written
    assert main.run(["service", "install", "--data", second, "--name", "second"]) == 0
    assert main.run(["service", "install", "--data", first]) == 0
