"""The text of the systemd unit. What systemd makes of it is tried by `make boot`."""

from pathlib import Path

import pytest

from muniment_cli.failure import BadInput
from muniment_cli.systemd_unit import UNIT_MARK, Unit

_PROGRAM = Path("/opt/muniment/bin/muniment")


def _text(
    data: str = "/srv/muniment", *, is_system: bool = True, is_reached_from_outside: bool = False
) -> str:
    return Unit(
        _PROGRAM, Path(data), is_system=is_system, is_reached_from_outside=is_reached_from_outside
    ).text()


def test_databases_outlive_the_service() -> None:
    """Stopping the unit, or one database without memory, ends the control plane only; a wrong setting is not tried for ever."""
    text = _text()
    assert text.startswith(UNIT_MARK)
    assert "ExecStart=/opt/muniment/bin/muniment up --data /srv/muniment\n" in text
    assert "KillMode=process\n" in text
    assert "OOMPolicy=continue\n" in text
    assert "RestartPreventExitStatus=2\n" in text


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ("/srv/my 100% data", '"/srv/my 100%% data"'),
        ("/srv/a$HOME", '"/srv/a$$HOME"'),
        ("/srv/it's", '"/srv/it\'s"'),
        ('/srv/a"b\\c', '"/srv/a\\"b\\\\c"'),
        ("/srv/データ", "/srv/データ"),
    ],
)
def test_a_strange_path_means_itself(data: str, word: str) -> None:
    """Blanks, quotes, percent and dollar signs in the data directory have no meaning for systemd."""
    assert f"up --data {word}\n" in _text(data)


def test_a_mount_is_no_command_line() -> None:
    """Where systemd expands no variables, a dollar sign is not doubled."""
    assert 'RequiresMountsFor="/srv/a$HOME"\n' in _text("/srv/a$HOME")


def test_a_line_break_is_refused() -> None:
    """A path that would begin a line of its own is no path for a unit."""
    with pytest.raises(BadInput, match="cannot hold"):
        _text("/srv/a\nExecStart=/bin/sh")


def test_engines_in_containers_stop_before_docker() -> None:
    """Who starts after Docker is stopped before it; where there is no Docker the order means nothing."""
    assert "After=network.target docker.service\n" in _text()


def test_a_user_has_no_targets_of_the_system() -> None:
    """A user's unit starts with the user's manager, and asks that one whether it stops."""
    text = _text(is_system=False)
    assert "network" not in text
    assert "systemctl --user is-system-running" in text
    assert "WantedBy=default.target\n" in text


def test_an_address_outside_waits_for_the_network() -> None:
    """Only who listens on more than the machine itself delays its start until the network is up."""
    assert "network-online.target" not in _text()
    assert "After=network-online.target docker.service\n" in _text(is_reached_from_outside=True)


def test_the_page_shows_it() -> None:
    """The unit that the how-to page shows is the one that is written."""
    home = Path("/home/you")
    unit = Unit(home / "muniment/.venv/bin/muniment", home / ".local/share/muniment", is_system=False)
    assert unit.text() in Path("docs/how-to/run-at-boot.md").read_text()
