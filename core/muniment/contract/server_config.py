"""What an agent is told about the server it runs on: one file, written once by whoever creates the server.

The local cloud writes it into the server's directory; on a cloud guest the image does, from user-data. It holds no secret:
the one-time enrolment token lies in a file of its own, which the agent removes after its enrolment.
"""

from typing import Literal
from uuid import UUID

import msgspec

__all__ = ["AGENT_LOCK", "DOCKER_SOCKET", "ServerConfig", "decode_server_config", "encode_server_config"]

AGENT_LOCK = "agent.lock"
"""File in `state_dir` on which a running agent holds an exclusive flock; it holds the agent's process id as text. Whoever can
take the lock knows that no agent runs there."""

DOCKER_SOCKET = "/var/run/docker.sock"
"""Where Docker's engine answers as it is packaged."""


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Identity, paths and limits of one server. Every path is absolute and below 4096 bytes."""

    instance_id: UUID
    server_id: str
    key_epoch: int
    """Key epoch of the enrolment; a rebuilt server gets the next one."""
    token_file: str
    """The one-time token, 0600; the agent removes it after its enrolment."""
    gateway_file: str
    """A text file with the gateway's address, e.g. `http://127.0.0.1:8778`; read again when it changes."""
    ca_file: str | None = None
    """Certificates to trust for the gateway; none where it speaks plain HTTP on loopback."""
    volume_device: str
    """The data volume: a block device, an image file (both become XFS, which takes root, mkfs.xfs and, for a file, a loop
    device; 300 MB at least) or a directory, whose size nothing enforces. Whoever creates the volume decides which."""
    mount_point: str
    """Where an XFS volume is mounted; not used for a directory."""
    run_dir: str
    """For sockets, which may be 107 bytes long: at most 64 bytes. Made by the agent when it is not there."""
    state_dir: str
    """What the agent must remember beside the volume: keys, session, jobs, the lock. Like a server's root disk."""
    log_dir: str
    cache_dir: str
    """For what can be made again; instances of one machine may share it."""
    address: str
    port: int
    """Where the engine listens for clients."""
    engine_uid: int | None = None
    engine_gid: int | None = None
    """As whom the engine runs, where the agent is root; none: as the agent itself."""
    memory_mib: int
    runtime: Literal["process", "docker"] = "process"
    """How the engine runs: as plain processes of this server, or in a container."""
    docker_socket: str = DOCKER_SOCKET
    """Where the Docker engine of this server answers, for the runtime `docker`."""
    full_copies: bool = False
    """Let a backup copy the data on the volume in full where the file system cannot share blocks between files."""
    datastore: str
    driver_group: str = "muniment.drivers"
    """Entry-point group in which the agent looks for the driver of its datastore."""


_decoder = msgspec.json.Decoder(ServerConfig)


def encode_server_config(config: ServerConfig) -> bytes:
    """The text of the file, as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"


def decode_server_config(text: bytes) -> ServerConfig:
    """Read the file's text; raises msgspec.DecodeError or ValidationError."""
    return _decoder.decode(text)
