"""How containers are made: with nothing that an engine does not need."""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import UUID

from docker.types import LogConfig, Mount

from muniment.contract.guest import EngineUser
from muniment_guest.files import write_whole
from muniment_guest.runtimes.docker.engine import INSTANCE_LABEL, TOOL_LABEL, Engine
from muniment_guest.runtimes.docker.network import NO_RESOLVER

__all__ = ["Box", "Mounts", "Server"]

_PIDS_MIN: Final = 512
_MIB: Final = 1024 * 1024
_LOG: Final = {"max-size": "8m", "max-file": "2"}
_RETRIES: Final = 3
"""Restarts in a row by Docker, within a second; after them the agent tries, ever more slowly."""


@dataclass(frozen=True)
class Server:
    """What is published of the engine, and where."""

    address: str
    port: int
    network: str


@dataclass(frozen=True)
class Mounts:
    """Directories at the same place inside and outside, so that a path means the same to agent and engine."""

    writable: tuple[Path, ...]
    readable: tuple[Path, ...]


class Box:
    """The form of one instance's containers."""

    def __init__(self, instance_id: UUID, user: EngineUser, *, memory_mib: int, names: Path) -> None:
        """`names` is a directory for the passwd and group files that containers see."""
        self._instance_id = instance_id
        self._user = user
        self._memory_mib = memory_mib
        self._names = names

    def create(
        self,
        engine: Engine,
        image: str,
        argv: Sequence[str],
        mounts: Mounts,
        *,
        name: str | None = None,
        as_agent: bool = False,
        environment: dict[str, str] | None = None,
        io: Path | None = None,
        tool_of: str | None = None,
        server: Server | None = None,
    ) -> str:
        """Make a container that is not started yet; its id. `io` is seen as `/io`; without `server` it has no network.

        `tool_of` is the kind of process that uses a tool.
        """
        uid, gid = (os.geteuid(), os.getegid()) if as_agent else (self._user.uid, self._user.gid)
        config: dict[str, Any] = self._hardening() | {"mounts": self._mounts(mounts, io)}
        if as_agent and uid == 0:
            # A tool of the agent's passes the engine's directories, as the agent does.
            config |= {"cap_add": ["DAC_OVERRIDE"]}
        config |= {"network_mode": "none"} if server is None else _published(server)
        made = engine.create_container(
            image,
            command=list(argv),
            entrypoint=[],
            name=name,
            user=f"{uid}:{gid}",
            working_dir="/",
            environment={"LC_ALL": "C", **(environment or {})},
            labels={INSTANCE_LABEL: str(self._instance_id)} | ({TOOL_LABEL: tool_of} if tool_of else {}),
            ports=None if server is None else [server.port],
            host_config=engine.create_host_config(**config),
            healthcheck={"test": ["NONE"]},
        )
        return str(made["Id"])

    def _hardening(self) -> dict[str, Any]:
        """What holds for every container."""
        return {
            "mem_limit": self._memory_mib * _MIB,
            "memswap_limit": self._memory_mib * _MIB,
            "pids_limit": max(_PIDS_MIN, self._memory_mib),
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "read_only": True,
            "tmpfs": {"/tmp": "size=64m,mode=1777,nosuid,nodev"},  # noqa: S108 - inside
            "ipc_mode": "private",
            "log_config": LogConfig(type=LogConfig.types.JSON, config=_LOG),
        }

    def _mounts(self, mounts: Mounts, io: Path | None) -> list[Mount]:
        passwd, group = self._write_names()
        made = [
            Mount("/etc/passwd", str(passwd), type="bind", read_only=True),
            Mount("/etc/group", str(group), type="bind", read_only=True),
        ]
        if io is not None:
            made.append(Mount("/io", str(io), type="bind"))
        for paths, read_only in ((mounts.writable, False), (mounts.readable, True)):
            made += [
                Mount(str(PurePosixPath(path)), str(path), type="bind", read_only=read_only)
                for path in paths
                if path.exists()
            ]
        return made

    def _write_names(self) -> tuple[Path, Path]:
        """Names of the engine's user and of the agent's, whom the engine recognises at its socket."""
        users = {0: ("root", 0), 65534: ("nobody", 65534)}
        if self._user.name is not None:
            users[self._user.uid] = (self._user.name, self._user.gid)
        uid = os.geteuid()
        users[uid] = (pwd.getpwuid(uid).pw_name, os.getegid())
        passwd, group = self._names / "passwd", self._names / "group"
        self._names.mkdir(mode=0o711, exist_ok=True)
        groups = {gid: name for name, gid in users.values()}
        _write(passwd, "".join(f"{name}:x:{uid}:{gid}::/:/bin/sh\n" for uid, (name, gid) in users.items()))
        _write(group, "".join(f"{name}:x:{gid}:\n" for gid, name in groups.items()))
        return passwd, group


def _published(server: Server) -> dict[str, Any]:
    """What is the engine's alone: a network, and who starts it again."""
    return {
        "network_mode": server.network,
        "dns": [NO_RESOLVER],
        "port_bindings": {server.port: (server.address, server.port)},
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": _RETRIES},
    }


def _write(path: Path, text: str) -> None:
    """Once: a container that runs has the file itself mounted, not its name."""
    if not path.exists():
        write_whole(path, text.encode(), mode=0o644)
