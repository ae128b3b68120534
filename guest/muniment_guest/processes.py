"""What the kernel says of processes: whether the one that was started then is still the one with that number now."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

__all__ = [
    "ProcessId", "boot_id", "continue_tree", "identify", "is_alive", "kill_all", "marked", "of_session", "of_user", "stop_tree",
    "wait_until",
]  # fmt: skip

_PROC: Final = Path("/proc")
_STATE, _PARENT, _SESSION, _START = 0, 1, 3, 19
"""Places in /proc/PID/stat, counted from the field after the program's name (see proc(5): fields 3, 4, 6 and 22)."""


class ProcessId(msgspec.Struct, frozen=True):
    """A process for ever: its number, and when it started, in clock ticks of which boot."""

    pid: int
    start_ticks: int
    boot_id: str


def identify(pid: int) -> ProcessId | None:
    """Who has this number now; None when nobody lives there."""
    stat = _stat(pid)
    if stat is None or stat[_STATE] in "ZX":
        return None
    return ProcessId(pid, int(stat[_START]), boot_id())


def is_alive(process: ProcessId) -> bool:
    """Whether that very process still runs. A zombie does not; if it is a child of ours, it is buried here."""
    if _is_zombie_child(process.pid):
        return False
    return identify(process.pid) == process


def of_session(session: int) -> list[int]:
    """Numbers of the living processes of a session."""
    return [pid for pid, stat in _all() if int(stat[_SESSION]) == session]


def of_user(uid: int) -> list[int]:
    """Numbers of the living processes that run as this user."""
    return [pid for pid, _ in _all() if _uid(pid) == uid]


def marked(name: str, value: str) -> list[int]:
    """Numbers of the living processes that were started with this variable in their environment."""
    mark = f"{name}={value}".encode()
    return [pid for pid, _ in _all() if mark in _environment(pid)]


def kill_all(find: Callable[[], list[int]], *, patience_s: float = 10.0) -> bool:
    """Kill whatever `find` finds until it finds nothing; whether that was reached in time."""

    def none_left() -> bool:
        found = [pid for pid in find() if pid != os.getpid()]
        for pid in found:
            _signal(pid, signal.SIGKILL)
            _is_zombie_child(pid)
        return not found

    return wait_until(none_left, patience_s)


def stop_tree(pid: int) -> bool:
    """Tell a process and all below it to stand still; whether every one of them does. To be asked until it is so.

    A child that was forked meanwhile is found the next time, since its parent forks no more.
    """
    moving = [one for one, stat in _tree(pid) if stat[_STATE] not in "Tt"]
    for one in moving:
        _signal(one, signal.SIGSTOP)
    return not moving


def continue_tree(pid: int) -> None:
    """Let a process and all below it go on."""
    for one, _ in _tree(pid):
        _signal(one, signal.SIGCONT)


def wait_until(true: Callable[[], bool], patience_s: float, *, step_s: float = 0.02) -> bool:
    """Look again and again, for `patience_s` at most; the answer of the last look."""
    until = time.monotonic() + patience_s
    while not (answer := true()) and time.monotonic() < until:
        time.sleep(step_s)
    return answer


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it went by itself: the wish is granted
        os.kill(pid, number)


def _is_zombie_child(pid: int) -> bool:
    stat = _stat(pid)
    if stat is None or stat[_STATE] != "Z":
        return False
    with suppress(ChildProcessError):  # somebody else's to bury
        os.waitpid(pid, os.WNOHANG)
    return True


def _all() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir(_PROC):
        if entry.isdigit() and (stat := _stat(int(entry))) is not None and stat[_STATE] not in "ZX":
            yield int(entry), stat


def _tree(root: int) -> list[tuple[int, list[str]]]:
    """A process and its descendants, parents first."""
    everyone = dict(_all())
    found = [root] if root in everyone else []
    for parent in found:  # grows while it is walked
        found += [pid for pid, stat in everyone.items() if int(stat[_PARENT]) == parent]
    return [(pid, everyone[pid]) for pid in found]


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold anything, parentheses too: the fields start after the last one.
    return text[text.rindex(")") + 2 :].split()


def _uid(pid: int) -> int | None:
    try:
        return (_PROC / str(pid)).stat().st_uid
    except FileNotFoundError:
        return None


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return []


def boot_id() -> str:
    """Another one after each boot."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
