"""File systems on image files: whether this machine can have them, and how they are taken down."""

import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from muniment.fault import Fault

__all__ = ["XFS_BYTES_MIN", "can_mount_images", "is_mounted", "take_down", "tell_loop_devices"]

XFS_BYTES_MIN = 300 * 1024 * 1024
"""mkfs.xfs refuses less."""
_CALL_S = 20.0
_LOOP_CONTROL = "/dev/loop-control"
_LOOP_CTL_GET_FREE = 0x4C82


class CommandFailed(Fault):
    """A program ran to its end and said no."""


def can_mount_images(folder: Path) -> str:
    """Try it once, for real, in `folder`: make, mount and take down a small file system.

    Returns why it cannot be done on this machine, empty when it can. Programs and rights may be there and the mount still
    fail, in a container for example.

    Raises:
        Fault: it did not work, and the reason may pass: no space, no free loop device, a program that hangs. So nobody
            knows whether it can be done, and no volume may become a directory because of it.
    """
    if os.geteuid() != 0:
        return "only root may attach loop devices and mount"
    for program in ("mkfs.xfs", "losetup", "mount", "umount"):
        if shutil.which(program) is None:
            return f"the program {program} is not installed"
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".try-") as place:
            return _try(Path(place))
    except OSError as error:
        raise Fault("cloud", f"{folder}: {error.strerror}") from error


def _try(place: Path) -> str:
    image, mount_point = place / "image", place / "mount"
    mount_point.mkdir()
    with image.open("wb") as file:
        file.truncate(XFS_BYTES_MIN)
    _run("mkfs.xfs", "-q", str(image))
    try:
        device = _free_loop_device()
    except OSError as error:
        return f"loop devices cannot be used here: {error.filename or _LOOP_CONTROL}: {error.strerror}"
    _run("losetup", device, str(image))
    try:
        _run("mount", "-t", "xfs", device, str(mount_point))
    except CommandFailed as failed:
        return failed.message  # no rights to mount, or no XFS in the kernel: that does not pass
    finally:
        take_down(mount_point, image)
    return ""


def _free_loop_device() -> str:
    """The device file of one that is free now.

    Raises:
        OSError: there are none on this machine, or not for us.
        Fault: all are in use.
    """
    with open(_LOOP_CONTROL, "rb+", buffering=0) as control:
        try:
            device = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                raise
            raise Fault("cloud", f"no loop device is free: {error.strerror}") from error
    with open(device, "rb+", buffering=0):  # a container may lack the file, or the right to use it
        return device


def is_mounted(mount_point: Path) -> bool:
    """Whether something is mounted there."""
    wanted = os.fsencode(mount_point.resolve())
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return any(_unescaped(line.split()[4]) == wanted for line in lines)


def take_down(mount_point: Path, image: Path) -> None:
    """Unmount and detach the loop device; no-op where nothing is up.

    Raises:
        Fault: it is in use, or the system refuses.
    """
    while is_mounted(mount_point):
        _run("umount", str(mount_point))
    for device in _loop_devices(image):
        try:
            _run("losetup", "--detach", device)
        except Fault:
            # One that was attached by `mount` goes by itself, perhaps just now.
            if device in _loop_devices(image):
                raise


def tell_loop_devices(image: Path) -> None:
    """Have whatever loop device shows an image take the image's size as it is now; no-op where none does.

    Raises:
        Fault: the system refuses.
    """
    for device in _loop_devices(image):
        try:
            _run("losetup", "--set-capacity", device)
        except Fault:
            if device in _loop_devices(
                image
            ):  # else it was unmounted just now: the next one takes the new size
                raise


def _loop_devices(image: Path) -> list[str]:
    """Read from the kernel, since `losetup` may not be there where no image is ever attached."""
    wanted = os.fsencode(image.resolve())
    devices = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            content = backing.read_bytes().rstrip(b"\n")
        except OSError:
            continue  # detached at this moment
        if content == wanted:
            devices.append(f"/dev/{backing.parent.parent.name}")
    return devices


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Fault("cloud", f"{command[0]} did not run: {error}") from error
    if done.returncode != 0:
        raise CommandFailed("cloud", f"{command[0]} failed: {done.stderr.strip()[:500]}")


def _unescaped(path: bytes) -> bytes:
    """mountinfo writes blanks and the like as three octal digits."""
    for code in (b"\\040", b"\\011", b"\\012", b"\\134"):
        path = path.replace(code, bytes([int(code[1:], 8)]))
    return path
