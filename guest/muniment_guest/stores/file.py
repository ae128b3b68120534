"""Backups in a directory: one directory a backup, one file an object."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from muniment.clock import Clock, seconds
from muniment.contract.backup import StoreRef
from muniment.contract.errors import Code, OpFailed
from muniment.durable_file import sync_folder

__all__ = ["FileStore"]

_DRAFT: Final = ".draft"
_NAME: Final = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,99}}(?<!{re.escape(_DRAFT)})")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStore:
    """See `muniment_guest.stores.store.ObjectStore`.

    The directory above the backup's must be there, with its mark if it has one: a disk for backups that is not mounted,
    or was taken away meanwhile, must not become a directory on another one.
    """

    def __init__(self, ref: StoreRef, clock: Clock) -> None:
        """Use the directory `ref.location`; write there until the grant ends."""
        self._home = Path(ref.location)
        self._mark = self._home.parent / ref.mark if ref.mark else None
        self._until_s = ref.until_s
        self._clock = clock
        if not self._home.is_absolute() or ".." in self._home.parts:
            raise OpFailed(Code.INVALID_ARGUMENT, f"{ref.location} is no absolute path")

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        """See `ObjectStore`; the bytes are on the disk before the name is."""
        path = self._path(name)
        draft = path.with_name(name + _DRAFT)
        self._check_grant()
        with self._faults(f"writing {name}"):
            self._check_mark()
            self._make_home()
            try:
                with open(draft, "xb", opener=_private) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    # What is read later to prove the backup is to come from the disk, not from memory.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                self._check_grant()
                self._check_mark()
                draft.rename(path)
                sync_folder(self._home)
            finally:
                draft.unlink(missing_ok=True)

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        """See `ObjectStore`."""
        with self._faults(f"reading {name}"):
            self._check_mark()
            with open(self._path(name), "rb") as file:
                yield file

    def names(self) -> Iterator[str]:
        """See `ObjectStore`."""
        with self._faults("listing"):
            self._check_mark()
            yield from sorted(os.listdir(self._home)) if self._home.is_dir() else ()

    def delete(self, name: str) -> None:
        """See `ObjectStore`; drafts, which a write leaves that was killed, can be deleted too."""
        with self._faults(f"deleting {name}"):
            self._check_mark()
            self._path(name.removesuffix(_DRAFT)).with_name(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """See `ObjectStore`; other files in the directory stay, and with them the directory."""
        for name in list(self.names()):
            if _NAME.fullmatch(name.removesuffix(_DRAFT)):
                self.delete(name)
        with suppress(OSError):
            self._home.rmdir()

    def free_bytes(self) -> int | None:
        """See `ObjectStore`."""
        with self._faults("looking"):
            self._check_mark()
            stat = os.statvfs(self._home if self._home.is_dir() else self._home.parent)
            return stat.f_bavail * stat.f_frsize

    def _make_home(self) -> None:
        with suppress(FileExistsError):
            self._home.mkdir(mode=0o700)
            sync_folder(self._home.parent)

    def _check_mark(self) -> None:
        if self._mark is not None and not self._mark.is_file():
            message = f"{self._home.parent} is not the one of before, it has no {self._mark.name}; is its disk mounted?"
            raise OpFailed(Code.STORAGE_UNAVAILABLE, message, retryable=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise OpFailed(Code.INVALID_ARGUMENT, f"{name!r} is no name of an object")
        return self._home / name

    def _check_grant(self) -> None:
        if seconds(self._clock.now()) >= self._until_s:
            message = "the time in which this backup may be written is over"
            raise OpFailed(Code.STORAGE_UNAVAILABLE, message, retryable=True)

    @contextmanager
    def _faults(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise OpFailed(Code.NOT_FOUND, f"{doing}: there is no {error.filename}") from error
        except OSError as error:
            code = Code.RESOURCE_EXHAUSTED if error.errno in _FULL else Code.STORAGE_UNAVAILABLE
            message = f"{doing} in the store {self._home}: {error.strerror}"
            raise OpFailed(code, message, retryable=code is Code.STORAGE_UNAVAILABLE) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
