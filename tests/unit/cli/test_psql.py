"""Which psql is called, and what is said of one that does not fit."""

import os
from pathlib import Path

import pytest

from muniment.secret import Secret
from muniment_cli import psql
from muniment_cli.psql import Psql, command_line, fitting_psql

_SERVER_18 = {"datastore": {"type": "postgresql", "version": "18"}}


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is the whole path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(psql, "_in_wheel", lambda: None)
    return tmp_path


def _install(folder: Path, said: str) -> str:
    program = folder / "psql"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    return os.fspath(program)


@pytest.mark.parametrize("said", ["psql (PostgreSQL) 18.6", "psql (PostgreSQL) 19beta1", "something else"])
def test_one_as_new_as_the_server_fits(on_path: Path, said: str) -> None:
    """So does one that does not tell its version: it may be a wrapper."""
    program = _install(on_path, said)
    assert fitting_psql(_SERVER_18) == Psql(program)


def test_an_older_one_gives_way_to_the_wheel(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel of the engine brings one that fits."""
    _install(on_path, "psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
    monkeypatch.setattr(psql, "_in_wheel", lambda: "/wheel/psql")
    assert fitting_psql(_SERVER_18) == Psql("/wheel/psql")


def test_an_older_one_alone_is_told_of(on_path: Path) -> None:
    """It is used all the same, with a note that says which would fit."""
    program = _install(on_path, "psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
    found = fitting_psql(_SERVER_18)
    assert found.program == program
    assert found.note.startswith("psql 15 is older than the server, 18")
    assert found.note.endswith("a psql 18 fits")


def test_none_at_all(on_path: Path) -> None:
    """The line carries the bare name, for another machine."""
    line = command_line(
        fitting_psql(_SERVER_18), "127.0.0.1", 5432, user="a", database="b", password=Secret("p w")
    )
    assert line == "PGPASSWORD='p w' psql -h 127.0.0.1 -p 5432 -U a -d b"
