"""Telling a supervisor."""

import socket
from pathlib import Path

import pytest

from muniment_cli.failure import Failure
from muniment_cli.roles.readiness import READY, tell_stage, tell_supervisor


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_supervisor_hears_it(tmp_path: Path, *, is_abstract: bool) -> None:
    """The state arrives at a socket with a path or with an abstract name."""
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0" + name if is_abstract else name)
        supervisor.settimeout(5)
        tell_supervisor(READY, {"NOTIFY_SOCKET": "@" + name if is_abstract else name})
        assert supervisor.recv(64) == b"READY=1"


def test_nobody_need_listen() -> None:
    """Without a supervisor nothing is said."""
    tell_supervisor(READY, {})


def test_a_deaf_supervisor_is_a_failure(tmp_path: Path) -> None:
    """A supervisor that would wait for ever is not left waiting."""
    with pytest.raises(Failure, match="cannot be told"):
        tell_supervisor(READY, {"NOTIFY_SOCKET": str(tmp_path / "none")})


def test_a_stage_is_a_line_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a supervisor, what goes on is said in the output."""
    tell_stage("opening the events", {})
    assert capsys.readouterr().out == "opening the events ...\n"


def test_a_stage_is_a_status_for_a_supervisor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The supervisor hears it, and the journal holds nothing twice."""
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(name)
        supervisor.settimeout(5)
        tell_stage("opening the events", {"NOTIFY_SOCKET": name})
        assert supervisor.recv(64) == b"STATUS=opening the events"
    assert capsys.readouterr() == ("", "")
