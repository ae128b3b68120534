"""A data volume as an XFS of its own, on a block device or on an image file through a loop device."""

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import structlog

from muniment.contract.errors import Code, OpFailed
from muniment.contract.messages import VolumeFacts
from muniment.contract.ops import PrepareVolume
from muniment.durable_file import sync_folder
from muniment_guest.files import write_durably
from muniment_guest.processes import wait_until
from muniment_guest.volume import Prepared, lay_out, statvfs_bytes

__all__ = ["XfsVolume"]

log = structlog.get_logger()

_BYTES_MIN: Final = 300 * 1024 * 1024
"""mkfs.xfs refuses less."""
_BLANK_BYTES: Final = 1024 * 1024
_GIB: Final = 1024**3
_COMMAND_S: Final = 45.0
_UNMOUNT_S: Final = 5.0
_XFS_MAGIC: Final = b"XFSB"
_UUID_AT: Final = 32
_IN_PROGRESS_AT: Final = 126
_RO_COMPAT_AT: Final = 212
"""Places in the superblock (`struct xfs_dsb`, all numbers big-endian): the second is not 0 until mkfs has written
everything, the third tells features."""
_RO_COMPAT_REFLINK: Final = 1 << 2
_HEAD_BYTES: Final = 512
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class XfsVolume:
    """See `muniment_guest.volume.Volume`. Root alone can use it."""

    def __init__(
        self, device: Path, mount_point: Path, *, engine: tuple[int, int] | None, note: Path
    ) -> None:
        """`note` is a file on the root disk which says that a format was begun on a volume proven blank."""
        self.root = mount_point
        self._device = device
        self._engine = engine
        self._note = note

    def prepare(self, wanted: PrepareVolume) -> VolumeFacts:
        """See `Volume`."""
        if self._is_mounted():
            self._check_mounted(wanted.filesystem_uuid)
        else:
            self._check_possible(wanted)
            block = self._block_device()
            self._ensure_filesystem(block, wanted)
            self._mount(block)
        lay_out(self.root, self._engine)
        self._note.unlink(missing_ok=True)
        sync_folder(self._note.parent)
        return self.facts()

    def attach(self, prepared: Prepared) -> None:
        """See `Volume`."""
        if self._is_mounted():
            self._check_mounted(prepared.filesystem_uuid)
            return
        block = self._block_device()
        if _read_head(block).uuid != prepared.filesystem_uuid:
            raise OpFailed(Code.STORAGE_UNAVAILABLE, f"{self._device} is not volume {prepared.volume_id}")
        self._mount(block)

    def facts(self) -> VolumeFacts:
        """See `Volume`."""
        if not self._is_mounted():
            raise OpFailed(Code.PRECONDITION_FAILED, "the volume is not prepared")
        size, used, available = statvfs_bytes(self.root)
        head = _read_head(self._mounted_device())
        return VolumeFacts(
            filesystem="xfs",
            uuid=head.uuid,
            size_bytes=size,
            used_bytes=used,
            available_bytes=available,
            reflink=head.reflink,  # on a full volume it cannot be tried
            enforced=True,
        )

    def room(self) -> tuple[int, int] | None:
        """See `Volume`."""
        if not self._is_mounted():
            return None
        size, _, available = statvfs_bytes(self.root)
        return size, available

    def detach(self) -> None:
        """See `Volume`; the loop device goes with the mount."""
        if self._is_mounted():
            # Processes of an engine that was just killed may hold it for a moment.
            wait_until(lambda: _run("umount", str(self.root)).returncode == 0, _UNMOUNT_S, step_s=0.1)
        if self._is_mounted():
            _command("umount", str(self.root), failure="the volume cannot be unmounted")
        for loop in self._loops():
            _command("losetup", "--detach", loop, failure="the loop device cannot be detached")

    # filesystem

    def _ensure_filesystem(self, block: Path, wanted: PrepareVolume) -> None:
        """Leave the filesystem that belongs there alone, refuse any other content, format what is blank.

        A format that a crash cut off leaves something that is neither; the note, written when the volume was proven
        blank and removed once it was mounted, is what allows to begin again. A filesystem that is complete is left alone
        even then.
        """
        head = _read_head(block)
        if head.uuid is not None and head.uuid != wanted.filesystem_uuid:
            raise OpFailed(
                Code.CONFLICT, f"{self._device} holds the XFS {head.uuid}, not that of {wanted.volume_id}"
            )
        if head.uuid is not None and head.is_complete:
            return
        if self._noted() == wanted.filesystem_uuid:
            log.warning("format was interrupted and begins again", device=str(self._device))
        else:
            self._refuse_unless_blank(block)
            write_durably(self._note, msgspec.json.encode(wanted.filesystem_uuid))
        uuid = f"uuid={wanted.filesystem_uuid}"
        _command(
            "mkfs.xfs",
            "-q",
            "-f",
            "-m",
            f"reflink=1,{uuid}",
            str(block),
            failure="the volume cannot be formatted",
        )

    def _refuse_unless_blank(self, block: Path) -> None:
        """No known signature anywhere, and nothing but zeros at both ends."""
        probe = _run("blkid", "--probe", "--output", "export", str(block))
        nothing_found = 2
        if probe.returncode != nothing_found:
            found = b" ".join(probe.stdout.split()).decode(errors="replace")[:200]
            raise OpFailed(
                Code.CONFLICT,
                f"{self._device} is not blank ({found or 'signatures that differ'}): left as it is",
            )
        with open(block, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            for at in (0, max(0, size - _BLANK_BYTES)):
                file.seek(at)
                if file.read(_BLANK_BYTES).strip(b"\0"):
                    raise OpFailed(
                        Code.CONFLICT, f"{self._device} is not blank (data near {at}): left as it is"
                    )

    def _noted(self) -> UUID | None:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=UUID)
        except FileNotFoundError:
            return None

    # devices and mounts

    def _check_possible(self, wanted: PrepareVolume) -> None:
        if os.geteuid() != 0:
            raise OpFailed(Code.STORAGE_UNAVAILABLE, f"{self._device} is to become an XFS, which takes root")
        for program in ("mkfs.xfs", "losetup", "blkid", "mount"):
            if shutil.which(program, path=_search_path()) is None:
                raise OpFailed(Code.STORAGE_UNAVAILABLE, f"{program} is not installed on this machine")
        size = _size_bytes(self._device)
        if size < max(_BYTES_MIN, wanted.size_gib * _GIB):
            message = f"{self._device} has {size} bytes; {wanted.size_gib} GiB were asked for, and XFS needs {_BYTES_MIN}"
            raise OpFailed(Code.STORAGE_UNAVAILABLE, message)

    def _block_device(self) -> Path:
        """The device itself, or the loop device of the image; one that is there is used again."""
        try:
            if stat.S_ISBLK(self._device.stat().st_mode):
                return self._device
        except OSError as error:
            raise OpFailed(Code.STORAGE_UNAVAILABLE, f"there is no {self._device}", retryable=True) from error
        if loops := self._loops():
            return Path(loops[0])
        # The image's filesystem need not support direct access; then the kernel goes through its cache.
        shown = _run("losetup", "--find", "--show", "--direct-io=on", str(self._device))
        if shown.returncode != 0:
            args = ("--find", "--show", str(self._device))
            # One is free as soon as another volume goes.
            shown = _command("losetup", *args, failure="no loop device can be had", retryable=True)
        return Path(shown.stdout.decode().strip())

    def _loops(self) -> list[str]:
        if not self._device.is_file():
            return []
        shown = _run("losetup", "--noheadings", "--output", "NAME", "--associated", str(self._device))
        return shown.stdout.decode().split()

    def _mount(self, block: Path) -> None:
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        _command(
            "mount", "-t", "xfs", "-o", "noatime,nodev,nosuid", str(block), str(self.root),
            failure="the volume cannot be mounted",
        )  # fmt: skip
        if self._device.is_file():
            # A loop device in use is only marked by this: it goes by itself once nobody has it mounted.
            _run("losetup", "--detach", str(block))

    def _is_mounted(self) -> bool:
        return os.path.ismount(self.root)

    def _mounted_device(self) -> Path:
        """By number: the list of mounts shows paths and devices escaped."""
        number = self.root.stat().st_dev
        known = Path("/sys/dev/block", f"{os.major(number)}:{os.minor(number)}")
        try:
            return Path("/dev", known.resolve(strict=True).name)
        except OSError as error:
            message = f"what is mounted at {self.root} is on no block device: {error.strerror}"
            raise OpFailed(Code.STORAGE_UNAVAILABLE, message) from error

    def _check_mounted(self, uuid: UUID) -> None:
        if (found := _read_head(self._mounted_device()).uuid) != uuid:
            raise OpFailed(Code.CONFLICT, f"the filesystem {found} is mounted at {self.root}, not {uuid}")


class _Head(NamedTuple):
    """What the first block of a device says of the XFS on it."""

    uuid: UUID | None
    """None: there is no XFS."""
    is_complete: bool
    """Whether mkfs came to its end."""
    reflink: bool


def _read_head(block: Path) -> _Head:
    try:
        with open(block, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise OpFailed(Code.STORAGE_UNAVAILABLE, f"{block} cannot be read: {error.strerror}") from error
    if len(head) < _HEAD_BYTES or not head.startswith(_XFS_MAGIC):
        return _Head(None, is_complete=False, reflink=False)
    features = int.from_bytes(head[_RO_COMPAT_AT : _RO_COMPAT_AT + 4])
    return _Head(
        UUID(bytes=head[_UUID_AT : _UUID_AT + 16]),
        is_complete=head[_IN_PROGRESS_AT] == 0,
        reflink=bool(features & _RO_COMPAT_REFLINK),
    )


def _size_bytes(device: Path) -> int:
    try:
        with open(device, "rb") as file:
            return file.seek(0, os.SEEK_END)
    except OSError as error:
        raise OpFailed(
            Code.STORAGE_UNAVAILABLE, f"{device} cannot be read: {error.strerror}", retryable=True
        ) from error


def _search_path() -> str:
    """Administrators' programs are not on everybody's path."""
    return f"{os.environ.get('PATH', '')}:{_PATH}"


def _run(program: str, *args: str) -> "subprocess.CompletedProcess[bytes]":
    command: Sequence[str] = (program, *args)
    found = shutil.which(program, path=_search_path())
    if found is None:
        raise OpFailed(Code.STORAGE_UNAVAILABLE, f"{program} is not installed on this machine")
    environment = {"PATH": _search_path(), "LC_ALL": "C"}
    try:
        return subprocess.run(
            (found, *command[1:]),
            capture_output=True,
            timeout=_COMMAND_S,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise OpFailed(Code.TIMEOUT, f"{program} took more than {_COMMAND_S:g} s", retryable=True) from error


def _command(
    program: str, *args: str, failure: str, retryable: bool = False
) -> "subprocess.CompletedProcess[bytes]":
    done = _run(program, *args)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise OpFailed(Code.STORAGE_UNAVAILABLE, f"{failure}: {program}: {said}", retryable=retryable)
    return done
