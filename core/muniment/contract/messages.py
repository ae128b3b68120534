"""What travels inside envelopes, between the control plane and an agent.

Instance, session, sequence, issue and expiry times are in the envelope's authenticated header and are not repeated here.
Bodies are MessagePack, decoded strictly.
"""

from enum import StrEnum
from uuid import UUID

import msgspec

from muniment.contract.errors import GuestError

__all__ = [
    "Ack", "Beat", "Command", "FromGuest", "Health", "HealthState", "JobState", "Outcome", "Progress",
    "SealedSecret", "Verdict", "VolumeFacts", "decode_command", "decode_from_guest", "encode",
]  # fmt: skip


class SealedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret of a command, sealed to the guest's X25519 key with the command id as context; `name` says what for."""

    name: str
    sealed: bytes


class Command(msgspec.Struct, frozen=True, kw_only=True, tag="command", forbid_unknown_fields=True):
    """One op for one guest. `command_id` is uuid5(operation, step, n), n = number of known failures: the key of the journal."""

    command_id: UUID
    op: str
    op_version: int = 1
    instance_epoch: int
    set_epoch: int = 0
    args: bytes
    """The op's arguments, JSON of the struct that `ops.py` names."""
    secrets: tuple[SealedSecret, ...] = ()


class Verdict(StrEnum):
    """What the guest thinks of a command when it hears it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """The guest has a job (or refuses a command); its outcome follows."""

    command_id: UUID
    verdict: Verdict
    reason: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """A job lives. Never an event: it only moves the moment up to which the job counts as alive."""

    command_id: UUID
    seq: int
    phase: str
    done: int = 0
    total: int | None = None
    unit: str = ""
    message: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag="outcome"):
    """How a command ended. Journaled by the guest before it is sent; repeated as it is to a repeated command."""

    command_id: UUID
    ok: bool
    result: bytes = b"null"
    """JSON of the op's result struct when `ok`."""
    error: GuestError | None = None
    started_at: float = 0.0
    finished_at: float = 0.0


class HealthState(StrEnum):
    """How the engine is, from a real query."""

    HEALTHY = "healthy"
    STARTING = "starting"
    STOPPED = "stopped"
    CRASHED = "crashed"
    UNKNOWN = "unknown"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found."""

    state: HealthState
    detail: str = ""
    server_version: str = ""
    read_only: bool = False
    uptime_s: float | None = None


class VolumeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a data volume really is and holds; free space is what an ordinary user may still write (f_bavail)."""

    filesystem: str
    """`xfs`, or `directory` where the size is advisory because nothing enforces it."""
    uuid: UUID | None
    size_bytes: int
    used_bytes: int
    available_bytes: int
    reflink: bool
    enforced: bool
    """Whether the size is a real limit."""


class Beat(msgspec.Struct, frozen=True, kw_only=True, tag="beat"):
    """A guest's sign of life: in full on a change and now and then; every 30 s otherwise, with its health."""

    agent_version: str
    driver: str = ""
    driver_version: str = ""
    instance_epoch: int = 0
    health: Health | None = None
    volume: VolumeFacts | None = None
    last_command_sequence: int = 0
    rejected: dict[str, int] = {}
    """Messages refused since the start of the agent, by the envelope's reason word."""
    public_key: bytes = b""
    """The guest's current X25519 public key; new after each start of the agent."""


class JobState(StrEnum):
    """The answer to `job.status`. `never` is a promise: the guest journaled that it will not run that command."""

    RUNNING = "running"
    FINISHED = "finished"
    NEVER = "never"


FromGuest = Ack | Progress | Outcome | Beat
"""Everything an agent may say."""

_encoder = msgspec.msgpack.Encoder()
_command = msgspec.msgpack.Decoder(Command)
_from_guest = msgspec.msgpack.Decoder(Ack | Progress | Outcome | Beat)


def encode(message: Command | FromGuest) -> bytes:
    """The body of an envelope."""
    return _encoder.encode(message)


def decode_command(body: bytes) -> Command:
    """Read what the control plane said; raises msgspec.DecodeError or ValidationError."""
    return _command.decode(body)


def decode_from_guest(body: bytes) -> FromGuest:
    """Read what a guest said; raises msgspec.DecodeError or ValidationError."""
    message: FromGuest = _from_guest.decode(body)
    return message
