"""Files that are either the old or the new one after a crash, never half of each.

Unlike `muniment.durable_file`, each file has one draft with a fixed name: one agent at a time writes here, and however
often it is killed, it leaves one draft a file on a small disk, not one a kill.
"""

import os
from pathlib import Path

from muniment.durable_file import sync_folder

__all__ = ["ensure_directory", "write_durably", "write_whole"]


def write_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` there so that it survives a power cut from the moment this returns.

    Raises:
        OSError: the disk is full or broken; the file that was there is untouched.
    """
    write_whole(path, data, mode=mode, sync=True)
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes, *, mode: int = 0o600, sync: bool = False) -> None:
    """Put `data` there so that a reader sees all of it or what was there before; survives a crash of the process alone."""
    draft = path.with_name(f".{path.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(handle, mode)
        with open(handle, "wb", closefd=False) as file:
            file.write(data)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(path)


def ensure_directory(path: Path, mode: int = 0o700) -> Path:
    """Have a directory with this mode, whatever the umask; its parents are made too, closed to others."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
    return path
