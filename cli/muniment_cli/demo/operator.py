"""The demo's operator: starts and kills `muniment up`, and uses the `muniment` command."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from muniment.fault import Fault

__all__ = ["Operator"]

_READY_LIMIT_S = 60


class Operator:
    """Works on one data directory. Its commands are children of this process, as they would be of a shell."""

    def __init__(self, data: Path, api: str) -> None:
        """Serve `data` on the address `api`, such as `127.0.0.1:8779`."""
        self._data = data
        self._api = api
        self._log = data.with_suffix(".log")
        self._up: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """`muniment up`, until it says ready."""
        offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._up = subprocess.Popen(
                [*_muniment(), "up", "--data", str(self._data), "--api", self._api],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ends = time.monotonic() + _READY_LIMIT_S
        while b"\nready http" not in b"\n" + self._log.read_bytes()[offset:]:
            if self._up.poll() is not None:
                raise Fault("demo", f"muniment up ended with code {self._up.returncode}:\n{self.log_tail()}")
            if time.monotonic() > ends:
                raise Fault("demo", f"muniment up was not ready after {_READY_LIMIT_S} s:\n{self.log_tail()}")
            time.sleep(0.02)

    @property
    def clouds_yaml(self) -> Path:
        """The file that `up` wrote for clients."""
        return self._data / "clouds.yaml"

    def kill(self) -> None:
        """SIGKILL to `muniment up`, and nothing else."""
        assert self._up is not None
        os.kill(self._up.pid, signal.SIGKILL)
        self._up.wait()

    def run(self, *arguments: str) -> str:
        """A `muniment` command; its standard output. A non-zero exit is a failure that shows what it said."""
        done = subprocess.run(
            [*_muniment(), *arguments, "--data", str(self._data)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise Fault(
                "demo",
                f"muniment {' '.join(arguments)} ended with {done.returncode}: {said}",
                retryable=False,
            )
        return done.stdout

    def end(self) -> None:
        """Ctrl-C to `up`, then `muniment down --purge`: nothing is left."""
        assert self._up is not None
        self._up.send_signal(signal.SIGINT)
        self._up.wait(_READY_LIMIT_S)
        self.run("down", "--purge", "--yes")

    def give_up(self) -> None:
        """Whatever state it is in, stop it and remove the data; for the way out after a failure."""
        if self._up is not None and self._up.poll() is None:
            self.kill()
        if self._data.exists():
            with contextlib.suppress(Fault):
                self.run("down", "--purge", "--yes")
        self._log.unlink(missing_ok=True)

    def log_tail(self, lines: int = 30) -> str:
        """The end of what `up` said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def _muniment() -> list[str]:
    return [str(Path(sys.executable).with_name("muniment"))]
