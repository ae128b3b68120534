"""Small files that survive a crash: a reader sees the old content or the new one, and what was written stays written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["create_durably", "sync_folder", "write_durably"]


def write_durably(path: Path, content: bytes, *, mode: int = 0o600, group: int | None = None) -> None:
    """Replace a file as a whole; raises OSError, and then the old content is still there. `group` None: ours."""
    with _written_beside(path, content, mode, group) as beside:
        beside.replace(path)
    sync_folder(path.parent)


def create_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Make a file that was not there, as a whole.

    Raises:
        FileExistsError: something has that name, even a link to nothing; it is left as it is.
        OSError: it cannot be written; then there is no file.
    """
    with _written_beside(path, content, mode, None) as beside:
        os.link(beside, path)  # unlike a rename, it never replaces
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make names that were added to, renamed in or removed from a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _written_beside(path: Path, content: bytes, mode: int, group: int | None) -> Iterator[Path]:
    """The content under another name in the same folder; that name is gone afterwards, unless we are killed."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if group is not None:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        yield beside
    finally:
        beside.unlink(missing_ok=True)
