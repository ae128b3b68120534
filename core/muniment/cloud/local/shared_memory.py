"""What outlives an engine outside every directory: its user's files in shared memory, System V objects."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from muniment.fault import Fault

__all__ = ["clear", "owners"]

_FILES = Path("/dev/shm")  # noqa: S108 - nothing is put there
_TABLES = Path("/proc/sysvipc")
_OPTIONS = {"shm": "--shmem-id", "sem": "--semaphore-id", "msg": "--queue-id"}
"""The kernel's tables of System V objects, and how `ipcrm` names one of each; the second column is the object's id."""
_CALL_S = 2.0


class _Object(NamedTuple):
    """A System V object that a user owns or made: either may open it."""

    uids: frozenset[int]
    option: str
    id: str


def owners() -> set[int]:
    """Users who own something there now. Whoever gets such a user's number can read it."""
    found = {uid for _, uid in _files()}
    return found.union(*(thing.uids for thing in _objects()))


def clear(uid: int) -> None:
    """Remove everything that this user owns there; for a user without processes.

    Raises:
        Fault: something is left.
    """
    _remove_files(uid)
    said = _remove_objects(uid)
    left = [str(path) for path, owner in _files() if owner == uid]
    left += [f"{thing.option[2:]} {thing.id}" for thing in _objects() if uid in thing.uids]
    if left:
        raise Fault(
            "cloud", f"user {uid} still owns {left[0]} in shared memory: {said or 'it is not removed'}"
        )


def _files() -> Iterator[tuple[Path, int]]:
    """What lies on top there and to whom it belongs; what is in other users' directories is theirs to keep."""
    try:
        entries = list(os.scandir(_FILES))
    except FileNotFoundError:
        return
    for entry in entries:
        try:
            yield Path(entry.path), entry.stat(follow_symlinks=False).st_uid
        except FileNotFoundError:
            continue  # removed since


def _objects() -> Iterator[_Object]:
    for table, option in _OPTIONS.items():
        try:
            heading, *rows = (_TABLES / table).read_text().splitlines()
        except FileNotFoundError:
            continue  # a kernel without them
        names = heading.split()
        for row in rows:
            fields = dict(zip(names, row.split(), strict=True))
            uids = frozenset({int(fields["uid"]), int(fields["cuid"])})
            yield _Object(uids, option, fields[names[1]])


def _remove_files(uid: int) -> None:
    for path, owner in _files():
        if owner != uid:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _remove_objects(uid: int) -> str:
    """What `ipcrm` said; an object that went by itself meanwhile is no failure, so its result does not count."""
    options = [word for thing in _objects() if uid in thing.uids for word in (thing.option, thing.id)]
    if not options:
        return ""
    try:
        done = subprocess.run(
            ["ipcrm", *options], capture_output=True, text=True, timeout=_CALL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Fault("cloud", f"ipcrm did not run: {error}") from error
    return done.stderr.strip()[:500]
