"""Where tests put what they make.

In memory, where there is room: nothing that a test kills loses more on a disk than there, and a disk's file system takes
many times as long to make and remove the thousand files of an engine. `python -m tests.support.scratch` prints the place.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["scratch", "short_directory"]

_MEMORY = Path("/dev/shm")
_DISK = Path("/tmp")
_ROOM_BYTES = 6 * 1024**3
"""More than a whole run has at one time."""


def scratch() -> Path:
    """A directory with a short name, since those of sockets have little room, in which programs can be started.

    Not for what runs in containers: there a file in memory counts as the container's own memory.
    """
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return _DISK
    serves = os.access(_MEMORY, os.W_OK) and not found.f_flag & os.ST_NOEXEC
    return _MEMORY if serves and found.f_bavail * found.f_frsize >= _ROOM_BYTES else _DISK


@contextmanager
def short_directory(prefix: str = "mt-") -> Iterator[Path]:
    """A directory of one's own there, which every user can pass through; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=scratch()) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


if __name__ == "__main__":
    print(scratch())
