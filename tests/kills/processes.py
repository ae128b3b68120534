"""What runs and what is there of one server, as the kernel and the disk tell it."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

__all__ = [
    "Existing",
    "ServerFiles",
    "belonging_to",
    "existing",
    "loops_below",
    "mounts_below",
    "on_shelves",
    "server_of",
]


class _Tag(msgspec.Struct, frozen=True):
    instance_id: str


class _Record(msgspec.Struct, frozen=True):
    id: str
    tag: _Tag


class _Config(msgspec.Struct, frozen=True):
    address: str
    port: int
    run_dir: str


@dataclass(frozen=True)
class ServerFiles:
    """The directory of one server."""

    folder: Path

    @property
    def config(self) -> _Config:
        """What its agent was told."""
        return msgspec.json.decode((self.folder / "config.json").read_bytes(), type=_Config)

    def agents(self) -> list[int]:
        """Processes of its agent: one, or none for a moment."""
        return [pid for pid, words in _commands() if self._is_for(words, b"muniment_guest.main")]

    def jobs(self) -> list[int]:
        """Processes of its jobs."""
        return [pid for pid, words in _commands() if self._is_for(words, b"muniment_guest.job")]

    def engines(self) -> list[int]:
        """Main processes of its engine; children of those have another title."""
        mark = b"config_file=" + os.fsencode(self.folder) + b"/"
        return [
            pid
            for pid, words in _commands()
            if words[0].endswith(b"/postgres") and any(word.startswith(mark) for word in words)
        ]

    def journal_stamps(self) -> tuple[int, ...]:
        """When the files of the agent's journal were last written; changes as soon as it takes up a command."""
        found = (self.folder / "state" / "journal").glob("*")
        return tuple(sorted(path.stat().st_mtime_ns for path in found))

    def job_folders(self) -> int:
        """How many jobs left files."""
        return len(list((self.folder / "state" / "jobs").glob("*")))

    def _is_for(self, words: list[bytes], module: bytes) -> bool:
        return module in words and os.fsencode(self.folder / "config.json") in words


class Existing(msgspec.Struct, frozen=True):
    """How much there is of one instance on this machine."""

    volumes: int = 0
    ports: int = 0
    servers: int = 0
    agents: int = 0
    engines: int = 0
    jobs: int = 0
    job_folders: int = 0
    mounts: int = 0
    loops: int = 0
    listening: int = 0


def existing(cloud: Path, instance_id: str) -> Existing:
    """Count what is there of an instance, in a local cloud's directory."""
    folders = {kind: _folders_of(cloud / kind, instance_id) for kind in ("volumes", "ports", "servers")}
    servers = [ServerFiles(folder) for folder in folders["servers"]]
    return Existing(
        **{kind: len(found) for kind, found in folders.items()},
        agents=sum(len(server.agents()) for server in servers),
        engines=sum(len(server.engines()) for server in servers),
        jobs=sum(len(server.jobs()) for server in servers),
        job_folders=sum(server.job_folders() for server in servers),
        mounts=sum(len(mounts_below(server.folder)) for server in servers),
        loops=sum(len(loops_below(folder)) for folder in folders["volumes"]),
        listening=sum(_listening(server.config.address, server.config.port) for server in servers),
    )


def on_shelves(cloud: Path) -> dict[str, int]:
    """How many directories there are of each kind, whosever they are, also half made and half removed ones."""
    return {kind: len(list((cloud / kind).iterdir())) for kind in ("volumes", "ports", "servers")}


def server_of(cloud: Path, instance_id: str) -> ServerFiles | None:
    """The server of an instance; None while there is none."""
    found = _folders_of(cloud / "servers", instance_id)
    return ServerFiles(found[0]) if found else None


def belonging_to(*folders: Path) -> list[int]:
    """Every process with one of the folders as working directory, in an argument or among its open files."""
    places = [os.fsencode(folder) for folder in folders]
    return [pid for pid in _pids() if pid != os.getpid() and _belongs(pid, places)]


def mounts_below(folder: Path) -> list[str]:
    """Mount points in a folder."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]


def loops_below(folder: Path) -> list[str]:
    """Loop devices whose file is in a folder."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if backing.read_text().startswith(f"{folder}/"):
                found.append(f"/dev/{backing.parent.parent.name}")
        except OSError:
            continue  # detached just now
    return found


def _folders_of(shelf: Path, instance_id: str) -> list[Path]:
    found = []
    for path in shelf.glob("*/record.json"):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=_Record)
        except FileNotFoundError:
            continue  # removed just now
        if record.tag.instance_id == instance_id:
            found.append(path.parent)
    return found


def _listening(address: str, port: int) -> int:
    wanted = "{:02X}{:02X}{:02X}{:02X}".format(*reversed([int(part) for part in address.split(".")]))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1] == f"{wanted}:{port:04X}" and line.split()[3] == "0A" for line in lines)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _commands() -> Iterator[tuple[int, list[bytes]]]:
    for pid in _pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0]:
            yield pid, words


def _belongs(pid: int, places: list[bytes]) -> bool:
    folder = f"/proc/{pid}"
    try:
        links = [f"{folder}/cwd", *(f"{folder}/fd/{name}" for name in os.listdir(f"{folder}/fd"))]
        if re.search(rb"\) [ZX] ", Path(f"{folder}/stat").read_bytes()):
            return False
        arguments = Path(f"{folder}/cmdline").read_bytes()
    except OSError:
        return False
    return any(place in arguments for place in places) or any(_leads_into(link, places) for link in links)


def _leads_into(link: str, places: list[bytes]) -> bool:
    try:
        target = os.readlink(os.fsencode(link))
    except OSError:
        return False
    return any(target == place or target.startswith(place + b"/") for place in places)
