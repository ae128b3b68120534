"""Processes that belong to a server: found by the directories they work in, and ended for certain."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Holders", "users"]

_PROC = Path("/proc")
_PAUSE_S = 0.02
_OVER = (b"Z", b"X")


class Holders:
    """The processes that hold some directories: by their working directory, an argument or an open file.

    An engine detaches itself, rewrites its title and forks children of its own, and an agent that was killed leaves no
    list; but an engine works in its data directory, and agent and jobs name theirs. A process on a terminal is a person's
    and is left alone.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Watch these directories and everything below them."""
        # Arguments hold a path as it was given, the system's links the real one.
        self._folders = tuple(
            {os.fsencode(path) for folder in folders for path in (folder, folder.resolve())}
        )

    def find(self) -> list[int]:
        """Process ids, without this process's own."""
        return [pid for pid in _pids() if pid != os.getpid() and self._holds(pid)]

    def end(self, *, limit_s: float) -> bool:
        """Kill them, and those they start meanwhile, until there are none; False when some are left after the limit."""
        deadline_s = time.monotonic() + limit_s
        while holders := self.find():
            for pid in holders:
                self._kill(pid)
            if time.monotonic() > deadline_s:
                return not self.find()
            time.sleep(_PAUSE_S)
        return True

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # Looked at once more through the handle's process: the number may have passed to another since.
                if self._holds(pid):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)

    def _holds(self, pid: int) -> bool:
        folder = _PROC / str(pid)
        try:
            if _is_over_or_on_terminal(folder):
                return False
            return (
                self._covers(_target(folder / "cwd"))
                or self._is_named(folder)
                or any(self._covers(_target(fd)) for fd in _open_files(folder))
            )
        except OSError:
            return False

    def _is_named(self, folder: Path) -> bool:
        arguments = (folder / "cmdline").read_bytes()
        return any(place + b"/" in arguments or arguments.endswith(place + b"\0") for place in self._folders)

    def _covers(self, path: bytes) -> bool:
        return any(path == place or path.startswith(place + b"/") for place in self._folders)


def users() -> set[int]:
    """Users with processes now; one that is over and only waits for its parent to look does not count."""
    uids = set()
    for pid in _pids():
        folder = _PROC / str(pid)
        with contextlib.suppress(OSError):  # it ended since
            uid = folder.stat().st_uid
            if _fields(folder)[0] not in _OVER:
                uids.add(uid)
    return uids


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit())


def _is_over_or_on_terminal(folder: Path) -> bool:
    fields = _fields(folder)
    return fields[0] in _OVER or fields[4] != b"0"


def _fields(folder: Path) -> list[bytes]:
    """State, parent, group, session, terminal and so on: what comes after the name, which may hold anything."""
    return (folder / "stat").read_bytes().rpartition(b")")[2].split()


def _target(link: Path) -> bytes:
    try:
        return os.readlink(os.fsencode(link))
    except OSError:
        return b""


def _open_files(folder: Path) -> Iterator[Path]:
    try:
        return (Path(entry.path) for entry in os.scandir(folder / "fd"))
    except OSError:
        return iter(())
