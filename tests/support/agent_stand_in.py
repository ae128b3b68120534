"""A program in the place of an agent: it obeys what the local cloud relies on (lock, signals, processes of its own) and
nothing else, in milliseconds."""

import os
import sys
from pathlib import Path

__all__ = ["install_stand_in"]

_SCRIPT = """#!{python} -SE
import fcntl, json, os, signal, subprocess, sys
config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
lock = open(os.path.join(config["state_dir"], "agent.lock"), "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.truncate(0)
lock.write(str(os.getpid()))
lock.flush()
os.makedirs(config["run_dir"], exist_ok=True)
device = config["volume_device"]
work = device if os.path.isdir(device) else config["mount_point"]
pid_file = os.path.join(config["state_dir"], "engine.pid")
alive = os.path.exists(pid_file) and os.path.exists("/proc/" + open(pid_file).read())
if not alive:
    engine = subprocess.Popen(["sleep", "1000"], cwd=work, start_new_session=True)
    open(pid_file, "w").write(str(engine.pid))
def stop(*_):
    os.kill(int(open(pid_file).read()), signal.SIGKILL)
    sys.exit(0)
signal.signal(signal.SIGUSR1, stop)
while True:
    signal.pause()
"""


def install_stand_in(folder: Path) -> Path:
    """Write the program; to be given as the interpreter that agents run on."""
    program = folder / "agent-python"
    program.write_text(_SCRIPT.format(python=os.path.realpath(sys.executable)))
    program.chmod(0o755)
    return program
