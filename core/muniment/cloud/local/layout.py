"""Where the local cloud keeps what: below the data directory, and in a short directory for sockets."""

from dataclasses import dataclass
from pathlib import Path

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

    @property
    def cache(self) -> Path:
        """What agents can make again: programs of engines, templates."""
        return self.root / "cache"
