"""`muniment service`: a systemd unit, so that everything is back after a boot."""

import ipaddress
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from muniment.durable_file import write_durably
from muniment_cli.data_directory import DataDirectory, default_data
from muniment_cli.data_option import Data
from muniment_cli.failure import BadInput, Failure
from muniment_cli.settings import load_settings
from muniment_cli.systemd_unit import UNIT_MARK, Unit

__all__ = ["app", "unit_for"]

app = App(name="service", help="Have it started at every boot, by systemd.")

_IS_BOOTED: Final = Path("/run/systemd/system")
"""Is there where systemd runs the machine."""
_LINGER: Final = Path("/var/lib/systemd/linger")
"""Holds a file for each user whose units run without a session."""

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
    path = _unit_file(name)
    directory = default_data(os.environ) if data is None else data.expanduser().absolute()
    unit = unit_for(directory)
    text = unit.text()
    if only_print:
        print(text, end="")
        return
    _refuse_strangers(path)
    _refuse_another(path, unit)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, text.encode(), mode=0o644)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from error
    print(f"written: {path}")
    _systemctl("daemon-reload")
    _systemctl("enable", path.name)
    if not directory.exists():
        print(f"{directory} is not there yet: the first start makes it")
    start = " ".join(_command("start", path.name))
    if not _IS_BOOTED.is_dir():
        print(f"systemd does not run this machine, so nothing starts it here; where it does: {start}")
        return
    print(f"it starts at the next boot; start it now with: {start}")
    if not _is_root() and not (_LINGER / _user()).exists():
        print("it runs only while you are logged in; to have it run always, and started at boot,")
        print(f"run this as root: loginctl enable-linger {_user()}")


@app.command
def uninstall(*, name: Name = "muniment") -> None:
    """Stop the control plane, disable and remove the unit. Databases keep running, `muniment down` stops them.

    Example: `muniment service uninstall`
    """
    path = _unit_file(name)
    if not path.exists():
        raise BadInput(f"there is no unit {path}")
    _refuse_strangers(path)
    # Stopped as well: systemd forgets with the file that databases are not to end with their control plane.
    _systemctl("disable", "--now", path.name)
    path.unlink()
    _systemctl("daemon-reload")
    print(f"removed: {path}; databases keep running, `muniment down` stops them")


def unit_for(data: Path) -> Unit:
    """The unit that runs this very program on a data directory, which need not be there yet.

    Raises:
        Fault: its settings cannot be read.
    """
    program = shutil.which("muniment", path=str(Path(sys.executable).parent)) or shutil.which("muniment")
    if program is None:
        raise Failure("the program muniment is not found beside this Python")
    file = DataDirectory(data).settings_file
    if not file.exists():
        return Unit(Path(program), data, is_system=_is_root())
    settings = load_settings(file, {})  # the unit has none of this shell's variables
    backups = settings.backups.directory
    return Unit(
        Path(program),
        data,
        is_system=_is_root(),
        places=() if backups is None else (Path(backups),),
        is_reached_from_outside=not _is_loopback(settings.listen.api),
    )


def _is_loopback(host_port: str) -> bool:
    host = host_port.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unit_file(name: str) -> Path:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise BadInput(f"{name!r} is no name for a unit; use letters, digits, - and _")
    if _is_root():
        return Path("/etc/systemd/system") / f"{name}.service"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "systemd/user" / f"{name}.service"


def _refuse_strangers(path: Path) -> None:
    """See that a unit which is there is one of ours."""
    try:
        is_ours = path.read_text(errors="replace").startswith(UNIT_MARK)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from error
    if not is_ours:
        raise BadInput(f"{path} is not a unit of ours; choose another name with --name")


def _refuse_another(path: Path, unit: Unit) -> None:
    """See that a unit which is there runs the same data directory: that of another installation is not replaced."""
    if path.exists() and unit.description not in path.read_text(errors="replace").splitlines():
        raise BadInput(
            f"{path} runs another data directory; give this one a unit of its own with --name, "
            f"or remove that one first: muniment service uninstall --name {path.stem}"
        )


def _command(*words: str) -> list[str]:
    return ["systemctl", *([] if _is_root() else ["--user"]), *words]


def _systemctl(*words: str) -> None:
    """Where systemd does not run (a container, an image being made) the file is kept, and the person told what was not done.

    Raises:
        Failure: systemd runs, and did not do it.
    """
    command = _command(*words)
    if not _IS_BOOTED.is_dir():
        print(f"not run, since systemd does not run here: {' '.join(command)}", file=sys.stderr)
        return
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    except FileNotFoundError:
        raise Failure("the program systemctl is missing") from None
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} failed: {' '.join(done.stderr.split())}")


def _environment() -> dict[str, str]:
    """Who became another user by sudo or su has no variable that leads to the user's systemd."""
    environment = dict(os.environ)
    if not _is_root():
        environment.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    return environment


def _is_root() -> bool:
    return os.geteuid() == 0


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
