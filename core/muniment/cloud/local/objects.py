"""Where backups lie on one machine: a directory for each."""

import os
import shutil
from pathlib import Path
from uuid import UUID

from muniment.cloud.local.backups_mark import BackupsMark
from muniment.contract.backup import StoreRef
from muniment.fault import Fault

__all__ = ["FileObjectStore"]


class FileObjectStore:
    """The object store of the local cloud; agents write into the directories that references name."""

    def __init__(self, folder: Path, mark: BackupsMark | None = None) -> None:
        """Keep backups below `folder`, which exists, and is only used while its mark is there, if it has one."""
        self._folder = folder
        self._mark = mark

    def reference(self, project_id: str, backup_id: UUID, *, until_s: float) -> StoreRef:
        """The directory of one backup, directly below the store's own: that one must be there for the agent to write, so that
        a disk that is not mounted is noticed. Ids are unique over all projects, whose names may be any text."""
        return StoreRef(
            kind="file",
            location=str(self._folder / str(backup_id)),
            mark="" if self._mark is None else self._mark.NAME,
            until_s=until_s,
        )

    def purge(self, reference: StoreRef) -> bool:
        """Remove a backup's directory; True when it is gone.

        Raises:
            Fault: the store is away, so that nobody knows what is there; or the directory cannot be removed.
        """
        place = Path(reference.location)
        if reference.kind != "file" or place.parent != self._folder:
            raise Fault(
                "store", f"{reference.location} is not in the backups of this installation", retryable=False
            )
        self._check_mark()
        try:
            shutil.rmtree(place)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Fault("store", f"{place} cannot be removed: {error.strerror}") from error
        is_gone = not place.exists()
        self._check_mark()  # or what was looked at may have been the bare mount point
        return is_gone

    def free_bytes(self) -> int | None:
        """What may still be written on the disk that holds the backups."""
        self._check_mark()
        try:
            facts = os.statvfs(self._folder)
        except OSError as error:
            raise Fault("store", f"{self._folder}: {error.strerror}") from error
        return facts.f_bavail * facts.f_frsize

    def _check_mark(self) -> None:
        if self._mark is not None:
            self._mark.check()
