"""The systemd unit."""

from pathlib import Path

import pytest

from muniment_cli import main
from muniment_cli.commands.service import unit_text


def test_databases_outlive_the_service() -> None:
    """Stopping the unit ends the control plane only, and a wrong setting is not tried for ever."""
    text = unit_text(Path("/srv/muniment"))
    assert "up --data /srv/muniment\n" in text
    assert "KillMode=process\n" in text
    assert "RestartPreventExitStatus=2\n" in text


def test_a_strange_path_is_quoted() -> None:
    """Blanks and percent signs in the data directory mean themselves to systemd."""
    assert 'up --data "/srv/my 100%% data"\n' in unit_text(Path("/srv/my 100% data"))


def test_print_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """--print shows the unit."""
    assert main.run(["service", "install", "--print", "--data", "/srv/m"]) == 0
    assert "ExecStart=" in capsys.readouterr().out


def test_a_unit_has_a_plain_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is a path is refused."""
    assert main.run(["service", "install", "--name", "../x"]) == 2
