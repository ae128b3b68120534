"""A reboot of the host, as near as one comes without one."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.kills.processes import belonging_to, loops_below, mounts_below
from tests.support.machine import Machine

__all__ = ["cut_power"]

_GONE_S = 30.0


@contextmanager
def cut_power(machine: Machine) -> Iterator[None]:
    """Everything of an installation stops at once, and what only lives until a reboot is gone.

    Inside of the context, the numbers of the engines' processes belong to strangers, as they may after a boot.
    """
    run = Path((machine.data / "run").read_text().splitlines()[0])
    # Nobody may live to see another's end: without current all stop at once.
    for pid in belonging_to(machine.folder, run):
        _signal(pid, signal.SIGSTOP)
    machine.kill()
    ends = time.monotonic() + _GONE_S
    while left := belonging_to(machine.folder, run):
        assert time.monotonic() < ends, f"processes {left} do not end"
        for pid in left:
            _signal(pid, signal.SIGKILL)
    with _strangers(machine):
        for point in mounts_below(machine.folder):
            subprocess.run(["umount", point], check=True)
        for device in loops_below(machine.folder):
            subprocess.run(["losetup", "--detach", device], check=False)  # most go with their mount
        assert not loops_below(machine.folder)
        shutil.rmtree(run)
        yield


@contextmanager
def _strangers(machine: Machine) -> Iterator[None]:
    """Write the files that name engines as they are after a boot: numbers of others' processes, another boot's marks."""
    children = []
    try:
        for folder in (machine.data / "cloud" / "servers").iterdir():
            engine = folder / "state" / "engine.json"
            if not engine.exists() or not engine.read_bytes():
                continue
            said = json.loads(engine.read_bytes())
            for postmaster in _postmasters(folder):
                child = subprocess.Popen(["sleep", "600"], user=postmaster.stat().st_uid, cwd="/")
                children.append(child)
                lines = postmaster.read_text().splitlines()
                lines[0], lines[2] = str(child.pid), str(_booted_at_s() - 60)
                postmaster.write_text("\n".join(lines) + "\n")
                said["pid"] = child.pid
            engine.write_text(json.dumps({**said, "boot_id": str(uuid4())}))
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def _postmasters(server: Path) -> list[Path]:
    volume = json.loads((server / "config.json").read_bytes())["volume_device"]
    found = (server / "mount" / "data" / "postmaster.pid", Path(volume) / "data" / "postmaster.pid")
    return [path for path in found if path.exists()]


def _booted_at_s() -> int:
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
