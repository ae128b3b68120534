"""A machine of its own for `muniment`: a data directory, and the program as people call it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.scratch import scratch

__all__ = ["GUEST_PYTHON", "LIMIT_S", "Machine"]

GUEST_PYTHON = Path(sys.prefix).parent / ".venv-guest" / "bin" / "python"
LIMIT_S = 60.0
_BYTE_CODE = str(Path(sys.prefix) / "pycache")
_PROGRAM = Path(sys.executable).parent / "muniment"


class Machine:
    """Runs `muniment` on one data directory; `remove` leaves nothing of it."""

    def __init__(self) -> None:
        """Nothing is there yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="mm-", dir=scratch()))
        self.folder.chmod(0o711)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._up: subprocess.Popen[bytes] | None = None

    # -- the program ---------------------------------------------------------------------------------------------------

    def muniment(self, *words: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        return subprocess.run(
            [str(_PROGRAM), *words],
            input=text,
            capture_output=True,
            text=True,
            env=self._environment(variables),
            timeout=LIMIT_S * 3,
            check=False,
        )

    def operate(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """An operator's command on this data directory."""
        return self.muniment(command, *words, "--data", str(self.data))

    def up(self, *words: str, **variables: str) -> str:
        """`muniment up`, until it is ready; the API's address."""
        if self._up is not None:
            self._up.wait(LIMIT_S)  # `down` may have ended it
        with self.log.open("wb") as log:
            self._up = subprocess.Popen(
                [str(_PROGRAM), "up", "--data", str(self.data), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(variables),
            )
        return self.wait_for(self._address, "up is ready")

    def refused(self, *words: str, **variables: str) -> str:
        """`muniment up` where it must not start: exit code 2 and one line, which is returned."""
        done = self.muniment("up", "--data", str(self.data), *words, **variables)
        assert done.returncode == 2, done
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def kill(self) -> None:
        """SIGKILL to `muniment up`, and to nothing else."""
        self._end(signal.SIGKILL)

    def interrupt(self) -> str:
        """Ctrl-C; what it printed."""
        self._end(signal.SIGINT)
        return self.log.read_text()

    def copy_to(self, other: "Machine") -> None:
        """Give another machine this one's data, as after a move; nothing runs on it."""
        shutil.copytree(self.data, other.data)
        (other.data / "run").unlink()

    def remove(self) -> None:
        """End and remove everything, whatever state it is in."""
        if self._up is not None and self._up.poll() is None:
            self.kill()
        elif self._up is not None:
            self._up.wait(LIMIT_S)
        if any(self.data.glob("cloud/servers/*")):
            self.operate("down", "--purge", "--yes")
        if (self.data / "run").exists():
            shutil.rmtree((self.data / "run").read_text().splitlines()[0], ignore_errors=True)
        shutil.rmtree(self.folder)

    # -- the tenant ----------------------------------------------------------------------------------------------------

    def tenant(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A tenant's command, through the clouds.yaml of this machine."""
        return self.muniment(
            *words, OS_CLIENT_CONFIG_FILE=str(self.data / "clouds.yaml"), OS_CLOUD="muniment"
        )

    def told(self, *words: str) -> Any:
        """A tenant's command with JSON output, which must succeed."""
        done = self.tenant(*words, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def auth(self, cloud: str = "muniment") -> dict[str, str]:
        """What clouds.yaml says of a cloud."""
        found: dict[str, str] = yaml.safe_load((self.data / "clouds.yaml").read_text())["clouds"][cloud][
            "auth"
        ]
        return found

    @contextmanager
    def rest(self) -> Iterator[httpx.Client]:
        """The API below the tenant's project, by HTTP Basic."""
        auth = self.auth()
        user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
        login = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "demo", "domain": {"id": "default"}}},
        }
        with httpx.Client(auth=(auth["username"], auth["password"]), timeout=LIMIT_S) as client:
            answer = client.post(
                f"{auth['auth_url']}/v3/auth/tokens", json={"auth": login}
            ).raise_for_status()
            project_id = answer.json()["token"]["project"]["id"]
            client.base_url = httpx.URL(f"{auth['auth_url'].removesuffix('/identity')}/v1.0/{project_id}")
            yield client

    # -- waiting -------------------------------------------------------------------------------------------------------

    def wait_for(self, seen: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
        """The first true answer."""
        deadline_s = time.monotonic() + limit_s
        while not (found := seen()):
            assert time.monotonic() < deadline_s, (
                f"not in {limit_s:.0f} s: {what}\n{self.log.read_text()[-3000:]}"
            )
            time.sleep(0.02)
        return found

    def agents(self) -> dict[str, int]:
        """The process of each server's agent that runs, by server."""
        found = {}
        for lock in self.data.glob("cloud/servers/*/state/agent.lock"):
            text = lock.read_text()
            if text and _runs(int(text)):
                found[lock.parents[1].name] = int(text)
        return found

    def _address(self) -> str:
        assert self._up is not None
        text = self.log.read_text()
        assert self._up.poll() is None, f"up ended with {self._up.returncode}:\n{text}"
        lines = [line for line in text.splitlines() if line.startswith("ready ")]
        return lines[0].removeprefix("ready ") if lines else ""

    def _end(self, number: int) -> None:
        assert self._up is not None
        os.kill(self._up.pid, number)
        self._up.wait(LIMIT_S)

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "MUNIMENT_"))}
        # Compiled once for all tests: without, every start of the program compiles all that it imports.
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        kept["MUNIMENT_DATA"] = "/proc/named-by-no-test"
        return {**kept, "PYTHONWARNINGS": "", "PYTHONPYCACHEPREFIX": _BYTE_CODE, **variables}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
