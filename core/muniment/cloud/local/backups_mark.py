"""The mark of a directory for backups: a mount point whose disk is away does not have it, and it says whose backups lie there."""

from pathlib import Path
from typing import Final

from muniment.durable_file import write_durably
from muniment.fault import Fault

__all__ = ["BackupsMark"]

_BEFORE, _AFTER = "Backups of ", "; each is a directory.\n"


class BackupsMark:
    """A file in a directory that an operator chose for backups, and that may be on another disk.

    It is looked for whenever something is written, read or removed there: a disk can go while we run.
    """

    NAME: Final = "muniment-backups"

    def __init__(self, folder: Path, owner: Path) -> None:
        """`owner` is the data directory whose backups lie in `folder`."""
        self.folder = folder
        self.owner = owner
        self.path = folder / self.NAME

    def write(self) -> None:
        """Make the directory the owner's.

        Raises:
            OSError: it cannot be written.
        """
        write_durably(self.path, f"{_BEFORE}{self.owner}{_AFTER}".encode())

    def check(self) -> None:
        """See that the directory is the one of before, and the owner's.

        A mark without a name, as people make one for a new place, is anybody's; so is that of an owner that is no more.

        Raises:
            Fault: it is not; says what to do.
        """
        try:
            text = self.path.read_text(errors="replace")
        except OSError:
            raise Fault(
                "store",
                f"the directory of the backups, {self.folder}, is not the one of before: "
                f"its file {self.NAME} cannot be read; is its disk mounted?",
            ) from None
        named = text.removeprefix(_BEFORE).removesuffix(_AFTER)
        if named != text and _is_another(Path(named), self.owner):
            raise Fault(
                "store",
                f"the directory of the backups, {self.folder}, holds those of {named}, says its file {self.NAME}; "
                "name another in the settings, `directory` in [backups]",
            )


def _is_another(named: Path, owner: Path) -> bool:
    try:
        return named != owner and not named.samefile(owner)
    except OSError:
        return False  # it was moved, or is gone
