"""A machine with systemd: a container in which systemd is process 1, and which can be switched off and on."""

import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.boot.docker import docker
from tests.boot.waiting import Broken, wait_for

__all__ = ["Machine", "Said"]

_CAPABILITIES = (
    "SYS_ADMIN",
    "SYS_PTRACE",
    "SYS_BOOT",
    "SYS_NICE",
    "IPC_LOCK",
    "LINUX_IMMUTABLE",
    "DAC_READ_SEARCH",
)
"""What systemd and mounts need beyond a container's usual; no machine of its own may load modules or set the clock."""
_BOOT_S = 60.0
_SHUTDOWN_S = 180


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


class Machine:
    """Switched on when entered, gone when left."""

    def __init__(self, image: str) -> None:
        """Nothing runs yet."""
        self._image = image
        self._name = ""

    def __enter__(self) -> Self:
        """Boot for the first time."""
        loops = sorted(Path("/dev").glob("loop[0-9]*"))
        self._name = docker(
            "run", "--detach", *(f"--cap-add={name}" for name in _CAPABILITIES),
            "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--cgroupns=private",
            "--device=/dev/loop-control", *(f"--device={loop}" for loop in loops), "--device-cgroup-rule=b 7:* rmw",
            "--env=container=docker", "--tmpfs=/run:exec", "--tmpfs=/run/lock", "--network=none",
            "--stop-signal=SIGRTMIN+3", self._image, "/init",
        )  # fmt: skip
        try:
            self._await_boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it with everything on it."""
        docker("rm", "--force", "--volumes", self._name)

    def shut_down(self) -> float:
        """Have systemd end everything in its order; the seconds that took."""
        began_s = time.monotonic()
        docker("stop", f"--time={_SHUTDOWN_S}", self._name)
        return time.monotonic() - began_s

    def cut_power(self) -> None:
        """Everything ends at once."""
        docker("kill", self._name)

    def boot(self) -> None:
        """Switch it on again, and wait until systemd has started everything."""
        docker("start", self._name)
        self._await_boot()

    def run(self, *words: str, user: str = "root") -> Said:
        """Run a command as somebody who has logged in."""
        return self.shell(shlex.join(words), user=user)

    def shell(self, line: str, *, user: str = "root") -> Said:
        """Run a line of a shell as somebody who has logged in."""
        return self._exec(["su", "--login", user, "--command", line])

    def become(self, user: str, *words: str) -> Said:
        """Run a command as a user who has not logged in, as sudo does."""
        return self._exec(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *words],
            f"--env=HOME=/home/{user}",
        )

    def leave_running(self, line: str) -> None:
        """Start a line of a shell that does not heed a request to end, as nothing on another machine would."""
        docker("exec", "--detach", self._name, "bash", "-c", f"trap '' TERM HUP; {line}")

    def processes(self) -> dict[int, str]:
        """Command lines by number."""
        listed = self._exec(["ps", "-eo", "pid=,args="]).out.splitlines()
        return {int(pid): args for pid, args in (line.split(None, 1) for line in listed)}

    def _exec(self, words: list[str], *options: str) -> Said:
        done = subprocess.run(
            ["docker", "exec", *options, self._name, *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout.strip(), done.stderr.strip())

    def _await_boot(self) -> None:
        def is_up() -> bool:
            return self._exec(["systemctl", "is-system-running"]).out in ("running", "degraded")

        wait_for("systemd has started everything", is_up, limit_s=_BOOT_S)
        if failed := self._exec(["systemctl", "--failed", "--no-legend", "--plain"]).out:
            raise Broken(f"units failed at the boot: {failed}")
