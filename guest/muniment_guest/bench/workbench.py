"""One server with a real agent: started, spoken to, killed."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty
from typing import Final
from uuid import UUID, uuid4

from muniment.clock import SystemClock
from muniment.contract.kit.subject import Subject
from muniment.contract.messages import Beat, Command, Outcome
from muniment.contract.server_config import DOCKER_SOCKET, ServerConfig, encode_server_config
from muniment.secret import Secret
from muniment_guest.bench.control_side import KEY_EPOCH, ControlSide
from muniment_guest.bench.environment import GROUP, make_environment
from muniment_guest.bench.gateway import BenchGateway
from muniment_guest.processes import kill_all

__all__ = ["AgentWorkbench"]

_HEARD_S: Final = 30.0
_MEMORY_MIB: Final = 256
_ENGINE_UIDS: Final = 2_000_000
"""Where the engines' users begin, far from those of the machine and of the local cloud."""
_PORTS: Final = range(20_000, 32_000)
_uids = count()


class AgentWorkbench:
    """See `muniment.contract.kit.workbench.Workbench`."""

    def __init__(self, folder: Path, subject: Subject, *, cache: Path) -> None:
        """Lay out the server; the agent is not started yet."""
        self.instance_id: UUID = uuid4()
        self.address = "127.0.0.1"
        self.port = _free_port()
        self.memory_mib = _MEMORY_MIB
        self.folder = folder
        self._server = folder / "server"
        self._control = ControlSide(self.instance_id, SystemClock())
        self._gateway = BenchGateway(self.instance_id, self._control.admit, self._control.bearer)
        self._agent: subprocess.Popen[bytes] | None = None
        self._beats = 0
        self._is_closed = False
        self._runtime = subject.terms.runtime
        self._heard: dict[UUID, list[Outcome]] = {}
        self._numbers: dict[UUID, int] = {}
        self._python = Path(sys.executable)
        group = "muniment.drivers"
        if subject.source is not None:
            self._python, group = make_environment(folder / "python", subject), GROUP
        self._config = self._lay_out(subject, group, cache)

    def start_agent(self) -> None:
        """See `Workbench`."""
        if self._agent is not None and self._agent.poll() is None:
            return
        with open(self._server / "agent.out", "ab") as output:
            self._agent = subprocess.Popen(
                [str(self._python), "-m", "muniment_guest.main", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                umask=0o022,
                start_new_session=True,
            )
        beats = self._beats
        limit = time.monotonic() + _HEARD_S
        while self._beats == beats:
            left_s = limit - time.monotonic()
            if left_s <= 0 or self._agent.poll() is not None:
                raise AssertionError(f"the agent was not heard:\n{self._words_of_agent()}")
            self._listen(min(left_s, 0.2))

    def kill_agent(self) -> None:
        """See `Workbench`."""
        if self._agent is not None:
            with suppress(ProcessLookupError):
                self._agent.send_signal(signal.SIGKILL)
            self._agent.wait()

    def cut_power(self) -> None:
        """See `Workbench`. The agent goes first, lest it starts again what dies under it."""
        self.kill_agent()
        if self._runtime == "docker":
            # Before its processes: Docker starts an engine again that is killed.
            self._end_containers()
        assert kill_all(self._inhabitants), f"processes in {self._server} do not end"

    def send(self, command: Command, secrets: Mapping[str, Secret], *, lifetime_s: float) -> None:
        """See `Workbench`."""
        self._listen(0.0)
        envelope = self._control.seal(command, dict(secrets), lifetime_s=lifetime_s)
        self._numbers[command.command_id] = self._gateway.send(envelope)

    def was_fetched(self, command_id: UUID, *, timeout_s: float) -> bool:
        """See `Workbench`."""
        return self._gateway.was_fetched(self._numbers[command_id], timeout_s=timeout_s)

    def outcomes(self, command_id: UUID, *, at_least: int, timeout_s: float) -> list[Outcome]:
        """See `Workbench`."""
        limit = time.monotonic() + timeout_s
        self._listen(0.0)
        heard = self._heard.setdefault(command_id, [])
        while len(heard) < at_least and (left_s := limit - time.monotonic()) > 0:
            self._listen(left_s)
        return list(heard)

    def close(self) -> None:
        """See `Workbench`."""
        if not self._is_closed:
            self.cut_power()
            self._gateway.close()
        self._is_closed = True

    def _end_containers(self) -> None:
        argv = [
            str(self._python), "-m", "muniment_guest.runtimes.docker",
            "--socket", DOCKER_SOCKET, "clear", str(self.instance_id),
        ]  # fmt: skip
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr

    def _lay_out(self, subject: Subject, group: str, cache: Path) -> Path:
        cache.mkdir(mode=0o711, exist_ok=True)
        volume = self._server / "volume"
        self._server.mkdir(mode=0o711)
        volume.mkdir(mode=0o711)
        for folder in (cache, self._server, volume):
            folder.chmod(0o711)
        token = self._server / "token"
        token.touch(mode=0o600)
        token.write_bytes(self._control.token.reveal())
        gateway = self._server / "gateway"
        gateway.write_text(self._gateway.address + "\n")
        uid = _ENGINE_UIDS + os.getpid() * 100 + next(_uids) % 100 if os.geteuid() == 0 else None
        config = ServerConfig(
            instance_id=self.instance_id,
            server_id=f"bench-{self.instance_id}",
            key_epoch=KEY_EPOCH,
            token_file=str(token),
            gateway_file=str(gateway),
            volume_device=str(volume),
            mount_point=str(self._server / "mount"),
            run_dir=str(self._server / "run"),
            state_dir=str(self._server / "state"),
            log_dir=str(self._server / "logs"),
            cache_dir=str(cache),
            address=self.address,
            port=self.port,
            engine_uid=uid,
            engine_gid=uid,
            memory_mib=_MEMORY_MIB,
            runtime=subject.terms.runtime,
            datastore=subject.datastore.name,
            driver_group=group,
        )
        path = self._server / "server.json"
        path.write_bytes(encode_server_config(config))
        return path

    def _listen(self, wait_s: float) -> None:
        """Hear what the agent said: everything that is there, after waiting for the first."""
        uplink = self._gateway.uplink
        try:
            data = uplink.get(timeout=wait_s) if wait_s > 0 else uplink.get_nowait()
            while True:
                self._hear(data)
                data = uplink.get_nowait()
        except Empty:
            return

    def _hear(self, data: bytes) -> None:
        said = self._control.open(data)
        if isinstance(said, Beat):
            self._beats += 1
            self._control.public_key = said.public_key or self._control.public_key
        elif isinstance(said, Outcome):
            self._heard.setdefault(said.command_id, []).append(said)

    def _inhabitants(self) -> list[int]:
        """Processes that belong to this server: by an argument, or by where they work."""
        place = str(self._server)
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                arguments = (entry / "cmdline").read_bytes()
                is_ours = f"{place}/".encode() in arguments or os.readlink(entry / "cwd").startswith(
                    f"{place}/"
                )
                if is_ours and (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                    found.append(int(entry.name))
        return found

    def _words_of_agent(self) -> str:
        return (self._server / "agent.out").read_text()[-2000:]


def _free_port() -> int:
    """A port that nobody uses, below those that the kernel gives to outgoing connections: while the engine is down, one of
    these could take its place."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
