"""What `up` prints: lines that work when they are pasted into another terminal."""

import sys
from pathlib import Path

import pytest

from muniment_cli.data_directory import DataDirectory
from muniment_cli.roles.announcement import announce

_URL = "http://127.0.0.1:1"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDirectory:
    """A directory with a clouds.yaml, in a place that needs quotes; the program is on the path."""
    made = DataDirectory(tmp_path / "my data")
    made.root.mkdir()
    made.clouds_file.touch()
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.delenv("MUNIMENT_DATA", raising=False)
    return made


def test_the_export_line_names_another_directory(
    data: DataDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when this terminal has the variable already: another one has not."""
    monkeypatch.setenv("MUNIMENT_DATA", str(data.root))
    announce(data, _URL, (), is_first=False)
    assert capsys.readouterr().out.splitlines() == [
        f"export OS_CLIENT_CONFIG_FILE='{data.root}/clouds.yaml' OS_CLOUD=muniment MUNIMENT_DATA='{data.root}'",
        f"ready {_URL}",
    ]


def test_the_default_directory_is_not_named(
    data: DataDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands find it by themselves."""
    monkeypatch.setattr("muniment_cli.roles.announcement.default_data", lambda environment: data.root)
    announce(data, _URL, (), is_first=False)
    assert "MUNIMENT_DATA" not in capsys.readouterr().out


def test_a_missing_clouds_file_is_noted(data: DataDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    """The export line names a file that is not there: one line says so."""
    data.clouds_file.unlink()
    announce(data, _URL, (), is_first=False)
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
    assert len(notes) == 1
    assert f"{data.clouds_file} is missing" in notes[0]


@pytest.mark.parametrize(
    ("path", "called"),
    [(str(Path(sys.executable).parent), "muniment"), ("", f"{Path(sys.executable).parent}/muniment")],
)
def test_the_next_line_finds_the_program(
    data: DataDirectory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    path: str,
    called: str,
) -> None:
    """Off the path of programs, it is called by its full path."""
    monkeypatch.setenv("PATH", path)
    announce(data, _URL, (), is_first=True)
    assert f" {called} instance create shop " in capsys.readouterr().out
