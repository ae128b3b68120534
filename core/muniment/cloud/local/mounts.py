"""File systems on image files: whether this machine can have them, and how they are taken down."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from muniment.fault import Fault

__all__ = ["XFS_BYTES_MIN", "can_mount_images", "is_mounted", "take_down"]

XFS_BYTES_MIN = 300 * 1024 * 1024
"""mkfs.xfs refuses less."""
_CALL_S = 20.0


def can_mount_images(folder: Path) -> str:
    """Try it once, for real, in `folder`: make, mount and take down a small file system.

    Returns why it cannot be done, empty when it can. Programs and rights may be there and the mount still fail, in a
    container for example.
    """
    if os.geteuid() != 0:
        return "only root may attach loop devices and mount"
    for program in ("mkfs.xfs", "losetup", "mount", "umount"):
        if shutil.which(program) is None:
            return f"the program {program} is not installed"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".try-") as place:
        image, mount_point = Path(place) / "image", Path(place) / "mount"
        mount_point.mkdir()
        with image.open("wb") as file:
            file.truncate(XFS_BYTES_MIN)
        try:
            _run("mkfs.xfs", "-q", str(image))
            _run("mount", "-t", "xfs", "-o", "loop", str(image), str(mount_point))
        except Fault as fault:
            return fault.message
        finally:
            take_down(mount_point, image)
    return ""


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
        raise Fault("cloud", f"{command[0]} failed: {done.stderr.strip()[:500]}")


def _unescaped(path: bytes) -> bytes:
    """mountinfo writes blanks and the like as three octal digits."""
    for code in (b"\\040", b"\\011", b"\\012", b"\\134"):
        path = path.replace(code, bytes([int(code[1:], 8)]))
    return path
