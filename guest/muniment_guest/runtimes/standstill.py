"""An engine that stands still for a moment, and goes on whatever becomes of who asked for it."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Standstill"]


class Standstill:
    """One at a time. A file says that it is so, and its lock that somebody still wants it: said by a file that nobody locks,
    it was left by a holder who was killed."""

    def __init__(self, file: Path, *, begin: Callable[[], None], end: Callable[[], None]) -> None:
        """`begin` and `end` do it; `end` may be called for an engine that runs."""
        self._file = file
        self._begin = begin
        self._end = end

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stand still until the block is left."""
        with open(self._file, "ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                file.write(b"!")
                self._begin()
                yield
            finally:
                self._end()
                file.truncate(0)

    def end_left(self) -> None:
        """End what a killed holder left; cheap where there is none, nothing where it is held."""
        try:
            if self._file.stat().st_size == 0:
                return
            with open(self._file, "ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._end()
                file.truncate(0)
        except (FileNotFoundError, BlockingIOError):
            return
