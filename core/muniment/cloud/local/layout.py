"""Where the local cloud keeps what: below the data directory, and in a short directory for sockets."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from muniment.fault import Fault

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """The directories of one installation's cloud.

    `root` is durable. `run` is short, since a socket's path may be 107 bytes long, and is gone after a boot.
    """

    root: Path
    run: Path
    gateway_file: Path
    """Where agents read the gateway's address."""
    ca_file: Path | None = None
    """The certificates that agents trust for the gateway, where it speaks TLS."""

    @property
    def lock(self) -> Path:
        """Held while resources come and go, by whichever process."""
        return self.root / "lock"

    @property
    def volumes(self) -> Path:
        """One directory a volume."""
        return self.root / "volumes"

    @property
    def ports(self) -> Path:
        """One directory a port."""
        return self.root / "ports"

    @property
    def servers(self) -> Path:
        """One directory a server: what its root disk would hold."""
        return self.root / "servers"

    def make_run(self) -> None:
        """Have the directory for sockets there: a boot takes it away, or somebody who tidies up.

        Raises:
            Fault: something else lies there, or it cannot be made.
        """
        for folder in (self.run.parent, self.run):
            _make_own(folder)

    @property
    def cache(self) -> Path:
        """What agents can make again: programs of engines, templates."""
        return self.root / "cache"


def _make_own(folder: Path) -> None:
    """Make a directory where everybody may make one, and be sure that it is ours."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        status = folder.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if is_ours and stat.S_IMODE(status.st_mode) != mode:
            folder.chmod(mode)
    except FileExistsError:
        is_ours = False
    except OSError as error:
        raise Fault(
            "cloud", f"{folder}, for the sockets of databases, cannot be made: {error.strerror}"
        ) from error
    if not is_ours:
        raise Fault(
            "cloud",
            f"{folder} is not a directory of ours; remove it, it is needed for the sockets of databases",
            retryable=False,
        )
