"""Files of an instance: configuration that the engine may read, trees handed over, directories flushed."""

import os
import stat
from pathlib import Path
from tempfile import mkstemp

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host

__all__ = ["own_tree", "read_untrusted", "sync_directory", "write_config"]

_UNTRUSTED_BYTES_MAX = 65_536


def write_config(host: Host, name: str, content: bytes) -> None:
    """Put a file into the configuration directory, all of it or nothing, readable but not writable by the engine."""
    folder = host.config.outside
    if Path(name).name != name or name.startswith("."):
        raise OpFailed(Code.INVALID_ARGUMENT, f"{name!r} is not the name of a configuration file")
    descriptor, temporary = mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o640)
            if host.user.uid != os.geteuid():
                os.fchown(descriptor, -1, host.user.gid)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).rename(folder / name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(folder)


def read_untrusted(path: Path) -> str:
    """Read the head of a file in a directory that the engine can write to, and so a tenant's superuser too.

    Raises:
        OSError: it is not there, or is a link, a pipe or anything else but a file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a file")
        return os.read(descriptor, _UNTRUSTED_BYTES_MAX).decode(errors="replace")
    finally:
        os.close(descriptor)


def own_tree(folder: Path, uid: int, gid: int) -> None:
    """Give a tree that nothing runs on to a user."""
    os.chown(folder, uid, gid, follow_symlinks=False)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent) / name, uid, gid, follow_symlinks=False)


def sync_directory(folder: Path) -> None:
    """Make names that were created or renamed in a directory outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
