"""Files that are either the old or the new one after a crash, never half of each."""

import os
from pathlib import Path

__all__ = ["ensure_directory", "sync_directory", "write_durably", "write_whole"]


def write_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` there so that it survives a power cut from the moment this returns.

    Raises:
        OSError: the disk is full or broken; the file that was there is untouched.
    """
    write_whole(path, data, mode=mode, sync=True)
    sync_directory(path.parent)


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


def sync_directory(path: Path) -> None:
    """Make the names in a directory as durable as the files."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def ensure_directory(path: Path, mode: int = 0o700) -> Path:
    """Have a directory with this mode, whatever the umask; its parents are made too, closed to others."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
    return path
