"""The end of an installation: every server, backup and file of it goes, and only after nothing speaks against it."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from muniment.cloud.local.cloud import LocalCloud
from muniment.contract.backup import StoreRef
from muniment.domain.backup import BackupRequested
from muniment.fault import Fault
from muniment.store.chain import BrokenChain
from muniment_cli.data_directory import DataDirectory
from muniment_cli.failure import BadInput, Failure
from muniment_cli.installation import Installation

__all__ = ["Purge"]

_PAGE = 500
_WAY_ON = (
    "; or leave the backups where they are, where nobody can open them without the key that goes: "
    "`muniment down --purge --leave-backups`"
)


class Purge:
    """Removes an installation. What is interrupted is finished by the next purge, and by nothing else."""

    def __init__(self, data: DataDirectory, cloud: LocalCloud, *, leaves_backups: bool) -> None:
        """`leaves_backups`: those that lie outside of the data directory stay, for when their disk is gone for good."""
        self._data = data
        self._cloud = cloud
        self._leaves_backups = leaves_backups

    def check(self) -> None:
        """See that it can come to its end, before anything is touched.

        Raises:
            BadInput: the backups cannot be removed, or cannot be left; says what to do.
        """
        if not self._has_settings:
            return  # an earlier purge has removed the backups
        if self._leaves_backups:
            if self._are_backups_inside():
                raise BadInput(
                    f"the backups lie in {self._data.root} and go with it; leave --leave-backups out"
                )
            return
        try:
            with closing(Installation(self._data)) as installation:
                installation.check_backups()
                for _ in _backups(installation):
                    pass  # that the log can be read to its end
                place = None if installation.backups_mark is None else installation.backups_mark.folder
        except (BadInput, Fault) as error:
            raise BadInput(f"nothing was changed, since {error.message}{_WAY_ON}") from error
        except BrokenChain as broken:
            raise BadInput(f"nothing was changed, since {broken.advice}{_WAY_ON}") from broken
        if place is not None and not os.access(place, os.W_OK | os.X_OK):
            raise BadInput(f"nothing was changed, since {place} cannot be written{_WAY_ON}")

    def run(self) -> None:
        """Remove everything. Nothing runs any more, and the caller holds the lock.

        Raises:
            Failure: something cannot be removed; a next purge goes on.
        """
        self._data.begin_purge()
        for server in self._cloud.servers.shelf.all():
            if not self._cloud.servers.remove(server):
                raise Failure(f"processes of server {server.id} do not end; try again")
        left = self._place_of_backups() if self._has_settings and self._leaves_backups else ""
        self._remove_backups()
        self._remove_files()
        print(f"removed: everything of {self._data.root}")
        if left:
            print(f"left: the backups in {left}, which nobody can open any more")

    @property
    def _has_settings(self) -> bool:
        """They go when the backups are gone, since only they say where those lie."""
        return self._data.settings_file.exists() or not self._data.is_going

    def _are_backups_inside(self) -> bool:
        """Whether they go with the directory; where the settings cannot be read they may lie anywhere."""
        try:
            return Installation(self._data).backups_mark is None
        except (BadInput, Fault):
            return False

    def _place_of_backups(self) -> str:
        """Where those lie that stay, as far as the settings tell."""
        try:
            mark = Installation(self._data).backups_mark
        except (BadInput, Fault):
            return "the place that the settings named"
        return "" if mark is None else str(mark.folder)

    def _remove_backups(self) -> None:
        """Backups on another disk are removed one by one, since others may lie beside them."""
        if not self._has_settings:
            return
        if self._leaves_backups:
            self._data.settings_file.unlink()
            return
        with closing(Installation(self._data)) as installation:
            mark = installation.backups_mark
            if mark is not None:
                for reference in _backups(installation):
                    installation.objects.purge(reference)
            self._data.settings_file.unlink()
            if mark is not None:
                mark.path.unlink(missing_ok=True)

    def _remove_files(self) -> None:
        data = self._data
        is_run_ours = data.home in (None, data.root)
        run = data.layout().run
        try:
            if is_run_ours:
                _remove(run)
            for entry in data.root.iterdir():
                if entry not in (data.version_file, data.lock_file):
                    _remove(entry)
            data.version_file.unlink(missing_ok=True)
            data.lock_file.unlink(missing_ok=True)
        except OSError as error:
            raise Failure(f"{error.filename} cannot be removed: {error.strerror}") from error
        with contextlib.suppress(OSError):  # another installation has its own directory beside
            run.parent.rmdir()
        _remove_root(data.root)


def _backups(installation: Installation) -> Iterator[StoreRef]:
    """Where the objects of every backup lie that there ever was, if they are not in the data directory."""
    if installation.backups_mark is None:
        return
    after, log = 0, installation.ledger.log
    while page := log.read(after, _PAGE):
        for logged in page:
            if isinstance(event := logged.event, BackupRequested):
                yield installation.objects.reference(event.project_id, event.originator_id, until_s=0)
        after = page[-1].position


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_root(root: Path) -> None:
    """Remove the empty data directory; where it is a link to another place, both. One that is a mount point stays."""
    place = root.resolve()
    try:
        if root.is_symlink():
            root.unlink()
        place.rmdir()
    except OSError as error:
        print(f"the empty directory {place} stays: {error.strerror}")
