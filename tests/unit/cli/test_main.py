"""The menu: exit codes, one line for every mistake, and help that teaches."""

import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment_cli import main
from muniment_cli.failure import BadInput, Failure

_GROUPS = {"instance", "backup", "operation", "root", "keys", "service"}


def _commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    menu = main.menu()
    for name in menu:
        if name.startswith("-"):
            continue
        if name in _GROUPS:
            found += [(name, sub) for sub in menu[name] if not sub.startswith("-")]
        else:
            found.append((name,))
    return found


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_help_teaches_with_an_example(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Every command's help shows how it is called."""
    assert main.run([*command, "--help"]) == 0
    assert f"Example: muniment {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_help_says_which_data_directory(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where --data can be given, the help says what is meant without it."""
    monkeypatch.setenv("COLUMNS", "400")
    main.run([*command, "--help"])
    told = capsys.readouterr().out
    assert ("--data " in told) == ("/var/lib/muniment" in told)


def test_the_menu_imports_no_command() -> None:
    """Showing the menu loads neither a database library nor an HTTP one."""
    code = (
        "import sys; from muniment_cli.main import run; run(['--help']);"
        "sys.exit(any(m in sys.modules for m in ('sqlalchemy', 'httpx', 'uvicorn', 'eventsourcing')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("said"), 2),
        (Failure("said"), 1),
        (Fault("store", "said"), 1),
        (Fault("store", "said", retryable=False), 2),
        (Refused("code", "said"), 2),
        (KeyboardInterrupt(), 130),
    ],
    ids=["bad input", "failure", "fault", "lasting fault", "refused", "interrupt"],
)
def test_exit_codes(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind of ending has its code, and what was said is one line on standard error."""

    def command() -> None:
        raise error

    app = App(suppress_keyboard_interrupt=False)
    app.default(command)
    monkeypatch.setattr(main, "menu", lambda called: app)
    assert main.run([]) == code
    said = capsys.readouterr().err
    assert said == ("" if code == 130 else "muniment: said\n")


@pytest.mark.parametrize("arguments", [["nonsense"], ["verify", "--nonsense"], ["events", "--instance", "x"]])
def test_a_wrong_command_line_is_bad_input(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command, option or value ends with code 2 and no traceback."""
    assert main.run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "events", "verify", "rebuild", "down"])
def test_operators_commands_need_a_data_directory(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a directory that is none, the line says how to make one, and nothing is made."""
    place = tmp_path / "none"
    assert main.run([command, "--data", str(place)]) == 2
    assert "muniment up" in capsys.readouterr().err
    assert not place.exists()


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("list", "muniment instance list"),
        ("connect demo", "muniment instance connect"),
        ("logs", "muniment events"),
        ("user list", "the openstack client"),
        ("backup restore x", "muniment instance create NAME --backup"),
        ("instance restore x", "muniment instance create NAME --backup"),
    ],
)
def test_an_unknown_command_gets_a_hint(line: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What people may have meant is named in the one line."""
    assert main.run(line.split()) == 2
    said = capsys.readouterr().err
    assert hint in said
    assert said.count("\n") == 1
