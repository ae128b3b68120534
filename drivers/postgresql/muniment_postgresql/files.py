"""Files of an instance: configuration that the engine may read, trees handed over."""

import os
import stat
from pathlib import Path

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host
from muniment.durable_file import write_durably

__all__ = ["own_tree", "read_untrusted", "write_config"]

_UNTRUSTED_BYTES_MAX = 65_536


def write_config(host: Host, name: str, content: bytes) -> None:
    """Put a file into the configuration directory, all of it or nothing, readable but not writable by the engine."""
    folder = host.config.outside
    if Path(name).name != name or name.startswith("."):
        raise OpFailed(Code.INVALID_ARGUMENT, f"{name!r} is not the name of a configuration file")
    group = None if host.user.uid == os.geteuid() else host.user.gid
    write_durably(folder / name, content, mode=0o640, group=group)


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
