"""The text of the systemd unit that runs `muniment up`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muniment_cli.failure import BadInput

__all__ = ["UNIT_MARK", "Unit"]

UNIT_MARK: Final = "# Written by `muniment service install`; `muniment service uninstall` removes it.\n"
"""The first line of a unit of ours: no other file is overwritten or removed."""

_TEXT: Final = """\
{mark}[Unit]
{description}
{after}# The data directory would be made anew below a mount point whose disk is not there yet.
RequiresMountsFor={mounts}
# A trouble that lasts for a while, such as a full disk, must not end the trying.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={program} up --data {data}
# Bringing the read models up to date takes as long as the log is behind.
TimeoutStartSec=infinity
# Agents and databases are no part of the control plane: they live on when it stops, and are found again.
KillMode=process
# But for when {going}: then databases are shut down cleanly{instead}.
ExecStopPost=/bin/sh -c 'test "$$({systemctl} is-system-running)" != stopping || exec "$$0" down --data "$$1"' \\
    {program_word} {data}
TimeoutStopSec=150
Restart=on-failure
RestartSec=2
# What is wrong with the settings does not mend itself.
RestartPreventExitStatus=2
# One database that runs out of memory is started again by its agent; the others have nothing to do with it.
OOMPolicy=continue
TasksMax=infinity

[Install]
WantedBy={target}
"""


@dataclass(frozen=True)
class Unit:
    """What the unit depends on; `text` is the file."""

    program: Path
    """The `muniment` program."""
    data: Path
    is_system: bool
    """The system's; otherwise a user's own."""
    places: Sequence[Path] = ()
    """Directories beside the data directory that must be mounted first, such as that of the backups."""
    is_reached_from_outside: bool = False
    """It listens on an address that is there only once the network is up."""

    @property
    def description(self) -> str:
        """The line that says whose unit it is: one for each data directory."""
        return f"Description=Muniment: databases as a service ({_specifiers(str(self.data))})"

    def text(self) -> str:
        """The file's content.

        Raises:
            BadInput: a path that no unit can hold.
        """
        return _TEXT.format(
            mark=UNIT_MARK,
            description=self.description,
            after=self._after(),
            mounts=" ".join(_word(place.resolve()) for place in (self.data, *self.places)),
            program=_word(self.program),
            program_word=_argument(self.program),
            data=_argument(self.data),
            systemctl="systemctl" if self.is_system else "systemctl --user",
            going="the machine goes down"
            if self.is_system
            else "the machine goes down, or your last session ends",
            instead=", before their file systems go" if self.is_system else "; systemd would kill them",
            target="multi-user.target" if self.is_system else "default.target",
        )

    def _after(self) -> str:
        """A user's units know nothing of the system's, and start after them all.

        What comes after Docker goes down before it: engines in containers are shut down by their agents too.
        """
        if not self.is_system:
            return ""
        if self.is_reached_from_outside:
            return "Wants=network-online.target\nAfter=network-online.target docker.service\n"
        return "After=network.target docker.service\n"


def _argument(path: Path) -> str:
    """A word of a command line after the first: there a dollar sign would begin a variable."""
    return _word(path).replace("$", "$$")


def _word(path: Path) -> str:
    """A path as systemd reads it."""
    text = _specifiers(str(path))
    if not text.isprintable():
        raise BadInput(f"{str(path)!r} holds a character that a unit cannot hold; name another directory")
    if text.replace("/", "").replace("-", "").replace("_", "").replace(".", "").isalnum():
        return text
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
