"""A real agent in a directory of its own, with the control plane's end of its line in the same process."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec

from muniment.bus.enrolment import Admission, answer_request, check_proof, read_request
from muniment.bus.envelope import Kind, open_envelope, seal_envelope
from muniment.bus.keyring import Keyring
from muniment.bus.sealing import seal_secret
from muniment.bus.suite import Direction, DirectionKey
from muniment.bus.transport import LetterKind
from muniment.bus.transports.memory import MemoryNetwork
from muniment.clock import SystemClock, seconds
from muniment.contract.messages import (
    Ack,
    Beat,
    Command,
    FromGuest,
    Outcome,
    Progress,
    SealedSecret,
    decode_from_guest,
    encode,
)
from muniment.contract.server_config import ServerConfig, encode_server_config
from muniment.secret import Secret
from muniment_guest.agent import Agent
from muniment_guest.config import Layout
from muniment_guest.driver import LoadedDriver
from muniment_guest.jobs import JOB_PROGRAM

__all__ = ["AgentBench", "Console", "write_server"]

T = TypeVar("T")
TOKEN = b"t" * 32
ROOT_KEY = b"r" * 32


class Console:
    """The control plane, as far as one guest sees it."""

    def __init__(self, network: MemoryNetwork, instance_id: UUID) -> None:
        """Speak to one guest."""
        self._control = network.control
        self._instance_id = instance_id
        self._keys = Keyring(lambda instance, epoch: Secret(ROOT_KEY))
        self._sequence = 0
        self._sent: dict[UUID, tuple[bytes, float]] = {}
        self.said: list[FromGuest] = []
        self.public_key = b""
        self.refuses_enrolment = False

    def send(
        self,
        op: str,
        args: msgspec.Struct,
        secrets: Mapping[str, bytes] | None = None,
        *,
        epoch: int = 1,
        lives_s: float = 60.0,
        ago_s: float = 0.0,
        command_id: UUID | None = None,
    ) -> UUID:
        """Seal a command, as if `ago_s` seconds ago, and send it; its id."""
        command_id = command_id or uuid4()
        sealed = tuple(
            SealedSecret(
                name=name,
                sealed=seal_secret(Secret(value), self.public_key, command_id=command_id, name=name),
            )
            for name, value in (secrets or {}).items()
        )
        command = Command(
            command_id=command_id, op=op, instance_epoch=epoch, args=msgspec.json.encode(args), secrets=sealed
        )
        self._sequence += 1
        now_ms = int((seconds(SystemClock().now()) - ago_s) * 1000)
        key = DirectionKey(Secret(ROOT_KEY), self._instance_id, 1, Direction.TO_GUEST)
        data = seal_envelope(
            encode(command),
            key,
            Kind.COMMAND,
            session=1,
            sequence=self._sequence,
            issued_ms=now_ms,
            expires_ms=now_ms + int(lives_s * 1000),
        )
        self._sent[command_id] = (data, now_ms / 1000 + lives_s)
        self.replay(command_id)
        return command_id

    def replay(self, command_id: UUID) -> None:
        """Send the very envelope of a command (the last one under this id) as whoever recorded it can."""
        data, expires_s = self._sent[command_id]
        self._control.send(self._instance_id, data, expires_s=expires_s)

    def pump(self) -> None:
        """Take what came from the guest."""
        letters = self._control.receive(100)
        for letter in letters:
            if letter.kind is LetterKind.ENROLMENT:
                self._enrol(letter.data)
            else:
                now_ms = int(seconds(SystemClock().now()) * 1000)
                message = open_envelope(letter.data, self._keys, Direction.TO_CONTROL, now_ms=now_ms)
                self._hear(decode_from_guest(message.body))
        self._control.done(letters)

    def outcome(self, command_id: UUID) -> Outcome | None:
        """How a command ended, once that was said."""
        return next((o for o in self.all(Outcome) if o.command_id == command_id), None)

    def all(self, kind: type[T]) -> list[T]:
        """What of one kind was said."""
        return [said for said in self.said if isinstance(said, kind)]

    def _hear(self, said: FromGuest) -> None:
        assert isinstance(said, Ack | Beat | Outcome | Progress)
        self.said.append(said)
        if isinstance(said, Beat):
            self.public_key = said.public_key

    def _enrol(self, data: bytes) -> None:
        if self.refuses_enrolment:
            return
        request = read_request(data)
        check_proof(request, Secret(TOKEN))
        self.public_key = request.public_key
        admission = Admission(
            root_key=Secret(ROOT_KEY),
            bearer=Secret("b" * 32),
            server_time_ms=int(seconds(SystemClock().now()) * 1000),
            incarnation=1,
        )
        self._control.answer(request.digest, answer_request(request, Secret(TOKEN), admission))


class AgentBench:
    """An agent that is stepped by the test, and the console it talks to."""

    def __init__(
        self, layout: Layout, loaded: LoadedDriver, *, job_program: Sequence[str] = JOB_PROGRAM
    ) -> None:
        """Start the agent of this server."""
        self.layout = layout
        self.network = MemoryNetwork(SystemClock(), Random(1))
        self.console = Console(self.network, layout.config.instance_id)
        self._loaded = loaded
        self._job_program = job_program
        self.agent = self.start()

    def start(self) -> Agent:
        """Another run of the agent on the same directories, as after a crash of the one before."""
        guest = self.network.guest(self.layout.config.instance_id)
        self.agent = Agent(self.layout, self._loaded, guest, SystemClock(), job_program=self._job_program)
        return self.agent

    def until(self, true: Callable[[], object], *, limit_s: float = 60.0) -> None:
        """Let agent and console work until something is true."""
        until = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < until, f"not true within {limit_s} s; said: {self.console.said[-3:]}"
            self.agent.step(wait_s_max=0.01)
            self.console.pump()
            time.sleep(0.002)

    def do(
        self,
        op: str,
        args: msgspec.Struct,
        secrets: Mapping[str, bytes] | None = None,
        *,
        epoch: int = 1,
        lives_s: float = 60.0,
    ) -> Outcome:
        """Send a command and wait for its outcome."""
        command_id = self.console.send(op, args, secrets, epoch=epoch, lives_s=lives_s)
        self.until(lambda: self.console.outcome(command_id))
        outcome = self.console.outcome(command_id)
        assert outcome is not None
        return outcome


def write_server(
    home: Path,
    *,
    datastore: str,
    device: Path | None = None,
    port: int = 0,
    engine_uid: int | None = None,
    gateway: str = "http://127.0.0.1:1",
) -> Path:
    """A server's directory as its creator makes it; the path of the configuration file."""
    home.chmod(0o711)
    if device is None:
        device = home / "volume"
        device.mkdir()
    (home / "token").write_bytes(TOKEN)
    (home / "token").chmod(0o600)
    (home / "gateway").write_text(gateway + "\n")
    config = ServerConfig(
        instance_id=uuid4(),
        server_id="server-1",
        key_epoch=1,
        token_file=str(home / "token"),
        gateway_file=str(home / "gateway"),
        volume_device=str(device),
        mount_point=str(home / "mount"),
        run_dir=str(home / "run"),
        state_dir=str(home / "state"),
        log_dir=str(home / "logs"),
        cache_dir=str(home / "cache"),
        address="127.0.0.1",
        port=port,
        engine_uid=engine_uid,
        engine_gid=engine_uid,
        memory_mib=512,
        datastore=datastore,
    )
    path = home / "server.json"
    path.write_bytes(encode_server_config(config))
    os.chmod(path, 0o600)
    return path
