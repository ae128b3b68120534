"""Space kept back on a volume whose size is enforced, so that an engine which died of a full disk can start again.

An engine writes before it answers: its log of what is to be redone, a checkpoint. On a volume that is full to the last
block it cannot, and nobody can delete anything from a database that does not run. What is kept back is given in parts,
since whoever filled the volume may do so again at once.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

__all__ = ["Reserve"]

log = structlog.get_logger()

_PART_BYTES: Final = 16 * 1024 * 1024
_PARTS: Final = 4
_START_BYTES: Final = 32 * 1024 * 1024
"""What an engine needs to recover and to let rows be deleted: PostgreSQL a segment of its log, which is 16 MiB, and more."""
_ROOM_BYTES: Final = 2 * _PARTS * _PART_BYTES
"""It is kept back only while as much again stays free beside it."""


class Reserve:
    """Files that only take up space, in the agent's own directory of a volume."""

    def __init__(self, directory: Path) -> None:
        """They lie in `directory`, which need not be there yet."""
        self._files = [directory / f"reserve-{number}" for number in range(_PARTS)]

    def keep(self, available_bytes: int) -> None:
        """Keep back what was given, once there is room again."""
        missing = [file for file in self._files if not file.exists()]
        if not missing or available_bytes < _ROOM_BYTES:
            return
        for file in missing:
            try:
                _allocate(file)
            except OSError as error:
                file.unlink(missing_ok=True)
                log.warning("no reserve of space is kept", reason=error.strerror)
                return

    def make_room(self, available_bytes: int) -> int:
        """Give as much as an engine needs to start, if it is there; returns how many bytes were given."""
        given = 0
        for file in self._files:
            if available_bytes + given >= _START_BYTES:
                break
            with suppress(FileNotFoundError):
                file.unlink()
                given += _PART_BYTES
        if given:
            log.warning("volume is full, a part of its reserve is given", given_bytes=given)
        return given


def _allocate(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _PART_BYTES)
    finally:
        os.close(descriptor)
