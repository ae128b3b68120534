"""The data directory between nothing and a running server: filled whole or not at all.

A marker file is the first thing put into it and the last taken out, so that a crash in the middle is seen, and a
half-filled directory is never started. A tenant's superuser can put anything into a directory that has run: links there are
never followed.
"""

import os
import shutil
from enum import StrEnum
from pathlib import Path

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host, Programs
from muniment.durable_file import sync_folder

__all__ = ["RESTORING", "Content", "DataDirectory"]

COPYING = "muniment.copying"
RESTORING = "muniment.restoring"
_SYNC_TIMEOUT_S = 1800


class Content(StrEnum):
    """What a data directory holds."""

    NOTHING = "nothing"
    UNFINISHED_COPY = "an unfinished copy of the template"
    UNFINISHED_RESTORE = "an unfinished restore"
    CLUSTER = "a cluster"
    FOREIGN = "files that are not a cluster"


class DataDirectory:
    """The directory `host.data`."""

    def __init__(self, host: Host) -> None:
        """Of this instance."""
        self._host = host
        self.path: Path = host.data.outside

    def content(self) -> Content:
        """What is in it now."""
        names = set(os.listdir(self.path))
        if not names:
            return Content.NOTHING
        if RESTORING in names:
            return Content.UNFINISHED_RESTORE
        if COPYING in names:
            return Content.UNFINISHED_COPY
        return Content.CLUSTER if {"PG_VERSION", "global"} <= names else Content.FOREIGN

    def begin(self, marker: str) -> None:
        """Say what is about to be filled in; the directory has to be empty."""
        if self.content() is not Content.NOTHING:
            listed = ", ".join(sorted(os.listdir(self.path))[:5])
            raise OpFailed(Code.PRECONDITION_FAILED, f"the data directory is not empty: it holds {listed}")
        self._mark(marker)

    def copy_from(self, template: Path) -> None:
        """Fill it with a copy of the template."""
        self.begin(COPYING)
        shutil.copytree(template, self.path, dirs_exist_ok=True)

    def hand_over(self) -> None:
        """Make it the engine's, and nobody else's."""
        self._host.give_to_engine(self.path)
        self.path.chmod(0o700)

    def finish(self, programs: Programs) -> None:
        """Flush every file, then declare the content whole.

        The file system is flushed as one: a file at a time, the thousand of a new server wait a thousand times for the disk.
        """
        argv = [
            programs.path("bin/initdb"), "--sync-only", "--sync-method=syncfs", f"--pgdata={self._host.data.inside}",
        ]  # fmt: skip
        ended = self._host.runtime.run(argv, timeout_s=_SYNC_TIMEOUT_S)
        if ended.code != 0:
            raise OpFailed(
                Code.STORAGE_UNAVAILABLE,
                f"flushing the data directory failed: {ended.stderr.strip()[-500:]}",
                retryable=True,
            )
        for marker in (COPYING, RESTORING):
            (self.path / marker).unlink(missing_ok=True)
        sync_folder(self.path)

    def wipe(self) -> None:
        """Empty it. A marker stays to the end: a crash in between leaves what is known to be incomplete."""
        names = os.listdir(self.path)
        if names and not {COPYING, RESTORING} & set(names):
            self._mark(RESTORING)
        for entry in sorted(self.path.iterdir(), key=lambda entry: entry.name in (COPYING, RESTORING)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        sync_folder(self.path)

    def _mark(self, marker: str) -> None:
        os.close(os.open(self.path / marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        sync_folder(self.path)
