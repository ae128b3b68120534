"""One kind of resource on disk: a directory for each, with a record, that appears and disappears as a whole."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from muniment.cloud.cloud import NO_SPACE, CloudRefused
from muniment.cloud.recipes import Tag
from muniment.durable_file import sync_folder, write_durably
from muniment.fault import Fault

__all__ = ["Record", "Shelf"]

_RECORD = "record.json"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_STAGED = ".new-"
_LEAVING = ".old-"


class Record(Protocol):
    """What every resource's record has."""

    @property
    def id(self) -> str:
        """The resource."""
        ...

    @property
    def tag(self) -> Tag:
        """Whose it is and what for."""
        ...


R = TypeVar("R", bound=Record)


class Shelf(Generic[R]):
    """The resources of one kind. Changes are made under the cloud's lock; reading needs none.

    A resource is prepared aside and renamed into its place, and renamed away before it is taken apart: whoever looks sees
    it whole or not at all, whatever crashes.
    """

    def __init__(self, folder: Path, kind: type[R], *, mode: int = 0o711) -> None:
        """Keep resources below `folder`; `mode` is that of each one's directory."""
        self.folder = folder
        self._decoder: msgspec.json.Decoder[R] = msgspec.json.Decoder(kind)
        self._mode = mode

    def open(self) -> None:
        """Make the folder, and remove what a crash left half made or half removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        for left in (*self.folder.glob(_STAGED + "*"), *self.folder.glob(_LEAVING + "*")):
            shutil.rmtree(left)

    def path(self, resource_id: str) -> Path:
        """The directory of a resource."""
        return self.folder / resource_id

    def add(self, record: R, prepare: Callable[[Path, Path], None] = lambda aside, final: None) -> None:
        """Put a resource up. `prepare(aside, final)` fills its directory at `aside`, which will be `final`.

        Raises:
            CloudRefused: there is no space left; nothing was put up.
        """
        aside, final = self.folder / (_STAGED + record.id), self.path(record.id)
        try:
            aside.mkdir()
            aside.chmod(self._mode)
            prepare(aside, final)
            write_durably(aside / _RECORD, _encoded(record))
            os.rename(aside, final)
        except BaseException as error:
            shutil.rmtree(aside, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise CloudRefused(f"{self.folder}: {error.strerror}", for_owner=NO_SPACE) from error
            raise
        sync_folder(self.folder)

    def change(self, record: R) -> None:
        """Replace the record of a resource that is there."""
        write_durably(self.path(record.id) / _RECORD, _encoded(record))

    def get(self, resource_id: str) -> R | None:
        """One resource's record; None when it is not there (an id that is no plain name is never there).

        Raises:
            Fault: the record cannot be read.
        """
        if not resource_id or "/" in resource_id or resource_id.startswith("."):
            return None
        path = self.path(resource_id) / _RECORD
        try:
            return self._decoder.decode(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise Fault("cloud", f"{path} cannot be read: {error}") from error

    def all(self) -> Iterator[R]:
        """Every resource, oldest name first; raises as `get`."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if not entry.name.startswith("."))
        except FileNotFoundError:
            return
        for name in names:
            if (record := self.get(name)) is not None:
                yield record

    def remove(self, resource_id: str) -> None:
        """Take a resource away; no-op when it is gone."""
        leaving = self.folder / (_LEAVING + resource_id)
        try:
            os.rename(self.path(resource_id), leaving)
        except FileNotFoundError:
            return
        sync_folder(self.folder)
        shutil.rmtree(leaving)


def _encoded(record: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
