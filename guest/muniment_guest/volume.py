"""The data volume: what the database stands on. Nothing is ever formatted that was not proven blank.

Its root holds `data/`, which belongs to the engine and is backed up, and `agent/`, which is the agent's alone.
"""

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

import msgspec

from muniment.contract.errors import Code, OpFailed
from muniment.contract.messages import VolumeFacts
from muniment.contract.ops import PrepareVolume
from muniment_guest.files import ensure_directory, write_durably

__all__ = [
    "DirectoryVolume",
    "Prepared",
    "Volume",
    "has_reflink",
    "read_prepared",
    "statvfs_bytes",
    "tree_bytes",
    "write_prepared",
]

_FICLONE: Final = 0x40049409
_LABEL_FILE: Final = "volume.json"


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What was prepared here, so that it can be mounted again after a boot."""

    volume_id: str
    filesystem_uuid: UUID


class Volume(Protocol):
    """A data volume in one of its forms."""

    @property
    def root(self) -> Path:
        """The directory that holds `data` and `agent`."""
        ...

    def prepare(self, wanted: PrepareVolume) -> VolumeFacts:
        """Make it usable; no-op when it is.

        Raises:
            OpFailed: `conflict` for a volume that holds something else, `storage_unavailable`.
        """
        ...

    def attach(self, prepared: Prepared) -> None:
        """After a boot: have it there again; never formats.

        Raises:
            OpFailed: it is not there, or another.
        """
        ...

    def facts(self) -> VolumeFacts:
        """What it is and holds.

        Raises:
            OpFailed: `precondition_failed` while it is not prepared.
        """
        ...

    def room(self) -> tuple[int, int] | None:
        """What its filesystem holds and what may still be written, in bytes, at no cost; None where nothing limits it, or
        while it is not prepared."""
        ...

    def detach(self) -> None:
        """Let go of it, so that it can be taken away; no-op when it is not there.

        Raises:
            OpFailed: something still uses it.
        """
        ...


class DirectoryVolume:
    """A directory of the machine's own filesystem: its size is what was wished, and nothing enforces it."""

    def __init__(self, directory: Path, *, engine: tuple[int, int] | None) -> None:
        """`engine` is the uid and gid to which the data directory belongs; none: the agent's own."""
        self.root = directory
        self._engine = engine

    def prepare(self, wanted: PrepareVolume) -> VolumeFacts:
        """See `Volume`."""
        label = self._label()
        if label is None:
            if any(name != "agent" for name in os.listdir(self.root)) or os.path.lexists(self.root / "agent"):
                self._refuse_unknown(wanted)
            ensure_directory(self.root / "agent")
            mark = Prepared(volume_id=wanted.volume_id, filesystem_uuid=wanted.filesystem_uuid)
            write_durably(self.root / "agent" / _LABEL_FILE, msgspec.json.encode(mark))
        elif label.filesystem_uuid != wanted.filesystem_uuid:
            raise OpFailed(
                Code.CONFLICT, f"{self.root} belongs to volume {label.volume_id}, not to {wanted.volume_id}"
            )
        lay_out(self.root, self._engine)
        return self.facts()

    def attach(self, prepared: Prepared) -> None:
        """See `Volume`."""
        label = self._label()
        if label is None or label.filesystem_uuid != prepared.filesystem_uuid:
            raise OpFailed(Code.STORAGE_UNAVAILABLE, f"{self.root} is not volume {prepared.volume_id}")
        lay_out(self.root, self._engine)

    def facts(self) -> VolumeFacts:
        """See `Volume`; the sizes are those of the filesystem on which the directory lies."""
        label = self._label()
        if label is None:
            raise OpFailed(Code.PRECONDITION_FAILED, "the volume is not prepared")
        size, _, available = statvfs_bytes(self.root)
        used = tree_bytes(self.root)  # the file system is shared: its own use says nothing about this volume
        return VolumeFacts(
            filesystem="directory",
            uuid=label.filesystem_uuid,
            size_bytes=size,
            used_bytes=used,
            available_bytes=available,
            reflink=has_reflink(self.root / "agent"),
            enforced=False,
        )

    def room(self) -> tuple[int, int] | None:
        """See `Volume`: the file system is shared, and nothing limits what is written to this part of it."""
        return None

    def detach(self) -> None:
        """See `Volume`: there is nothing to let go of."""

    def _refuse_unknown(self, wanted: PrepareVolume) -> None:
        """An `agent` directory without a label is what a crash in the middle of `prepare` leaves, if it is empty."""
        left = os.listdir(self.root)
        if left == ["agent"] and all(name.startswith(".") for name in os.listdir(self.root / "agent")):
            return
        raise OpFailed(
            Code.CONFLICT, f"{self.root} is not empty and not of volume {wanted.volume_id}: left as it is"
        )

    def _label(self) -> Prepared | None:
        try:
            return msgspec.json.decode((self.root / "agent" / _LABEL_FILE).read_bytes(), type=Prepared)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise OpFailed(Code.STORAGE_UNAVAILABLE, f"the label of {self.root} cannot be read") from error


def lay_out(root: Path, engine: tuple[int, int] | None) -> None:
    """Have the two directories of a volume root, with their owners and modes."""
    root.chmod(0o755)
    ensure_directory(root / "agent")
    data = ensure_directory(root / "data")
    if engine is not None and (data.stat().st_uid, data.stat().st_gid) != engine:
        os.chown(data, *engine)


def statvfs_bytes(path: Path) -> tuple[int, int, int]:
    """Size, use, and what an ordinary user may still write, in bytes."""
    stat = os.statvfs(path)
    return (
        stat.f_blocks * stat.f_frsize,
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize,
        stat.f_bavail * stat.f_frsize,
    )


def tree_bytes(directory: Path) -> int:
    """What the files below a directory take up on the disk; those that vanish meanwhile do not count."""
    total, folders = 0, [directory]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
    return total


def has_reflink(directory: Path) -> bool:
    """Whether files there can share their blocks, found out by doing it."""
    with suppress(OSError), tempfile.TemporaryFile(dir=directory) as source:
        source.write(bytes(4096))
        source.flush()
        with tempfile.TemporaryFile(dir=directory) as target:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
            return True
    return False


def read_prepared(path: Path) -> Prepared | None:
    """What `write_prepared` noted on the root disk; None when nothing was prepared or it was shut down."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Prepared)
    except FileNotFoundError:
        return None


def write_prepared(path: Path, prepared: Prepared | None) -> None:
    """Note on the root disk what is to be attached after a boot."""
    if prepared is None:
        path.unlink(missing_ok=True)
    else:
        write_durably(path, msgspec.json.encode(prepared))
