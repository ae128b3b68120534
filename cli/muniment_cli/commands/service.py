"""`muniment service`: a systemd unit, so that everything is back after a boot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from muniment.durable_file import write_durably
from muniment_cli.data_directory import default_data
from muniment_cli.failure import BadInput, Failure

__all__ = ["app", "unit_text"]

app = App(name="service", help="Have it started at every boot, by systemd.")

_UNIT = """\
[Unit]
Description=Muniment: databases as a service ({data})
After=network.target local-fs.target

[Service]
ExecStart={program} up --data {data}
# Agents and databases are no part of the control plane: they live on when it stops, and are found again.
KillMode=process
Restart=on-failure
RestartSec=2
# What is wrong with the settings does not mend itself.
RestartPreventExitStatus=2

[Install]
WantedBy={target}
"""

Data = Annotated[Path | None, Parameter(help="Data directory.")]
Name = Annotated[str, Parameter(help="Name of the unit; choose another for a second data directory.")]


@app.command
def install(
    *,
    data: Data = None,
    name: Name = "muniment",
    only_print: Annotated[
        bool, Parameter(name="--print", negative="", help="Print the unit and change nothing.")
    ] = False,
) -> None:
    """Write a unit and enable it: the system's as root, your own otherwise.

    Example: `muniment service install --data /srv/muniment`
    """
    directory = default_data(os.environ) if data is None else data.expanduser().absolute()
    text = unit_text(directory)
    if only_print:
        print(text, end="")
        return
    path = _unit_file(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, text.encode(), mode=0o644)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from error
    print(f"written: {path}")
    _systemctl("daemon-reload")
    _systemctl("enable", path.name)
    print(f"it starts at the next boot; start it now with: {' '.join(_command('start', path.name))}")
    if os.geteuid() != 0:
        print(f"so that it runs while you are not logged in: loginctl enable-linger {Path.home().name}")


@app.command
def uninstall(*, name: Name = "muniment") -> None:
    """Disable and remove the unit; what runs goes on running.

    Example: `muniment service uninstall`
    """
    path = _unit_file(name)
    if not path.exists():
        raise BadInput(f"there is no unit {path}")
    _systemctl("disable", path.name)
    path.unlink()
    _systemctl("daemon-reload")
    print(f"removed: {path}")


def unit_text(data: Path) -> str:
    """The unit that runs this very program on a data directory."""
    program = shutil.which("muniment", path=str(Path(sys.executable).parent)) or shutil.which("muniment")
    if program is None:
        raise Failure("the program muniment is not found beside this Python")
    target = "multi-user.target" if os.geteuid() == 0 else "default.target"
    return _UNIT.format(program=_quoted(Path(program)), data=_quoted(data), target=target)


def _unit_file(name: str) -> Path:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise BadInput(f"{name!r} is no name for a unit; use letters, digits, - and _")
    if os.geteuid() == 0:
        return Path("/etc/systemd/system") / f"{name}.service"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "systemd/user" / f"{name}.service"


def _command(*words: str) -> list[str]:
    return ["systemctl", *([] if os.geteuid() == 0 else ["--user"]), *words]


def _systemctl(*words: str) -> None:
    """A machine without systemd (a container) keeps the file; the person is told what did not work."""
    command = _command(*words)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        print(f"not run, since systemd is not here: {' '.join(command)}", file=sys.stderr)
        return
    if done.returncode != 0:
        print(f"{' '.join(command)} failed: {done.stderr.strip()}", file=sys.stderr)


def _quoted(path: Path) -> str:
    """A path as systemd reads it: % begins a specifier, and blanks part words."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(c.isspace() for c in text) else text
