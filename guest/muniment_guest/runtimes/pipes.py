"""What both runtimes do with the bytes of programs."""

import fcntl
import os
from contextlib import suppress
from typing import IO, Final

__all__ = ["LOG_TAIL_BYTES", "tail", "widen"]

LOG_TAIL_BYTES: Final = 2 * 1024
_TAIL_BYTES: Final = 8 * 1024
_PIPE_BYTES: Final = 1024 * 1024


def widen(stream: IO[bytes]) -> None:
    """Larger pipes mean fewer switches; the kernel may refuse an ordinary user, which only costs speed."""
    with suppress(OSError):
        fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def tail(file: IO[bytes], bytes_max: int = _TAIL_BYTES) -> str:
    """The end of a file as text."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - bytes_max))
    return file.read().decode(errors="replace")
