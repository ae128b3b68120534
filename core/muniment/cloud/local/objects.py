"""Where backups lie on one machine: a directory for each."""

import os
import shutil
from pathlib import Path
from uuid import UUID

from muniment.contract.backup import StoreRef
from muniment.fault import Fault

__all__ = ["FileObjectStore"]


class FileObjectStore:
    """The object store of the local cloud; agents write into the directories that references name."""

    def __init__(self, folder: Path) -> None:
        """Keep backups below `folder`, which exists."""
        self._folder = folder

    def reference(self, project_id: str, backup_id: UUID, *, until_s: float) -> StoreRef:
        """The directory of one backup, directly below the store's own: that one must be there for the agent to write, so that
        a disk that is not mounted is noticed. Ids are unique over all projects, whose names may be any text."""
        return StoreRef(kind="file", location=str(self._folder / str(backup_id)), until_s=until_s)

    def purge(self, reference: StoreRef) -> bool:
        """Remove a backup's directory; True when it is gone."""
        place = Path(reference.location)
        if reference.kind != "file" or place.parent != self._folder:
            raise Fault(
                "store", f"{reference.location} is not in the backups of this installation", retryable=False
            )
        try:
            shutil.rmtree(place)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Fault("store", f"{place} cannot be removed: {error.strerror}") from error
        return not place.exists()

    def free_bytes(self) -> int | None:
        """What may still be written on the disk that holds the backups."""
        try:
            facts = os.statvfs(self._folder)
        except OSError as error:
            raise Fault("store", f"{self._folder}: {error.strerror}") from error
        return facts.f_bavail * facts.f_frsize
