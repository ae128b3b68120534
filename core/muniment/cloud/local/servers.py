"""Servers: one agent process each, detached, found again by the lock on its directory."""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import time
from functools import cached_property
from pathlib import Path
from typing import Literal
from uuid import uuid4

import msgspec

from muniment.clock import Clock, seconds
from muniment.cloud.cloud import CloudRefused
from muniment.cloud.local import processes, shared_memory
from muniment.cloud.local.containers import Containers
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.mounts import take_down
from muniment.cloud.local.ports import PortRecord
from muniment.cloud.local.processes import Holders
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.cloud.local.shelf import Shelf
from muniment.cloud.local.volumes import VolumeRecord, Volumes
from muniment.cloud.recipes import CloudResource, Condition, Kind, ServerRecipe, Tag
from muniment.contract.server_config import (
    AGENT_LOCK,
    ServerConfig,
    decode_server_config,
    encode_server_config,
)
from muniment.durable_file import write_durably
from muniment.fault import Fault

__all__ = ["Runtime", "ServerRecord", "Servers", "made_elsewhere"]

Runtime = Literal["process", "docker"]

_STARTING_S = 20.0
_BACK_OFF_MAX_S = 30.0
_END_S = 2.0
_OUTPUT = "agent.out"


class ServerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A server on disk."""

    id: str
    tag: Tag
    volume_id: str
    port_id: str
    created_at_s: float
    deleting: bool = False


class _Start(msgspec.Struct):
    """What this process knows of an agent that it started."""

    process: subprocess.Popen[bytes]
    at_s: float
    failures: int


class Servers:
    """Starts, finds and ends agents; changes are made under the cloud's lock."""

    def __init__(
        self,
        layout: Layout,
        volumes: Volumes,
        clock: Clock,
        settings: LocalCloudSettings,
        *,
        containers: Containers,
        python: Path,
    ) -> None:
        """`python` is the interpreter of the guests' own environment."""
        self._settings = settings
        self._containers = containers
        self.shelf = Shelf(layout.servers, ServerRecord)
        self._layout = layout
        self._volumes = volumes
        self._clock = clock
        self._python = python
        self._starts: dict[str, _Start] = {}

    @cached_property
    def runtime(self) -> Runtime:
        """How the engine of a new server runs: as the settings say, or as this machine can."""
        if self._settings.runtime != "auto":
            return self._settings.runtime
        is_named = bool(self._settings.images)
        return "docker" if is_named and not self._containers.why_none() else "process"

    def create(self, recipe: ServerRecipe, volume: VolumeRecord, port: PortRecord) -> ServerRecord:
        """Make the server's directory and start its agent."""
        if not os.access(self._python, os.X_OK):
            raise CloudRefused(
                f"there is no environment for agents: {self._python} is missing; run `make install`"
            )
        record = ServerRecord(
            id=str(uuid4()),
            tag=recipe.tag,
            volume_id=volume.id,
            port_id=port.id,
            created_at_s=seconds(self._clock.now()),
        )

        def prepare(aside: Path, final: Path) -> None:
            for name in ("state", "log"):
                (aside / name).mkdir(mode=0o700)
            (aside / "mount").mkdir()
            (aside / "mount").chmod(0o711)
            write_durably(aside / "token", recipe.seed.token.reveal())
            config = self._config(record, recipe, volume, port, final)
            write_durably(aside / "config.json", encode_server_config(config))

        self.shelf.add(record, prepare)
        self._start(record, failures=0)
        return record

    def tend(self) -> None:
        """Start agents that should run and do not, finish removals that were interrupted; called again and again."""
        self._layout.make_run()
        for gone in [server_id for server_id in self._starts if self.shelf.get(server_id) is None]:
            self._reap(gone)
        for record in self.shelf.all():
            if record.deleting:
                self.remove(record)
            elif self._may_start(record):
                start = self._starts.get(record.id)
                self._start(record, failures=0 if start is None else start.failures + 1)

    def remove(self, record: ServerRecord) -> bool:
        """End agent, engine and jobs, let go of what they leave, remove the directory; False if it is not done yet."""
        if not record.deleting:
            record = msgspec.structs.replace(record, deleting=True)
            self.shelf.change(record)
        if not self._end_all(record):
            return False
        self._reap(record.id)
        self._let_go(record)
        shutil.rmtree(self._run_dir(record), ignore_errors=True)
        self.shelf.remove(record.id)
        return True

    def stop(self, record: ServerRecord) -> None:
        """Ask the agent to stop its engine cleanly and to end; returns at once, `is_quiet` tells when it is done."""
        pid = self.agent_pid(record)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)

    def is_quiet(self, record: ServerRecord) -> bool:
        """Whether nothing of it runs."""
        self._reap(record.id)
        return not Holders(self._places(record)).find()

    def end(self, record: ServerRecord) -> None:
        """Kill all of it, clean or not, and let go of what it leaves; the directory stays.

        Raises:
            Fault: something withstands.
        """
        if not self._end_all(record):
            raise Fault("cloud", f"processes of server {record.id} do not end")
        self._reap(record.id)
        self._let_go(record)

    def agent_pid(self, record: ServerRecord) -> int | None:
        """The agent's process id; None when none runs."""
        lock = self.shelf.path(record.id) / "state" / AGENT_LOCK
        if not _is_locked(lock):
            return None
        with contextlib.suppress(OSError, ValueError):
            return int(lock.read_text())
        return None

    def lacks_run_directory(self, record: ServerRecord) -> Path | None:
        """Where the sockets of its engine should lie, if that is not there."""
        return None if (folder := self._run_dir(record)).is_dir() else folder

    def seen(self, record: ServerRecord) -> CloudResource:
        """The server in the cloud's words."""
        condition, reason = self._condition(record)
        return CloudResource(
            kind=Kind.SERVER,
            id=record.id,
            tag=record.tag,
            condition=condition,
            created_at_s=record.created_at_s,
            reason=reason,
        )

    def last_words(self, record: ServerRecord) -> str:
        """The end of what its agent printed, for administrators."""
        try:
            with (self.shelf.path(record.id) / "log" / _OUTPUT).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 500))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def _condition(self, record: ServerRecord) -> tuple[Condition, str]:
        if record.deleting:
            return Condition.DELETING, ""
        if _is_locked(self.shelf.path(record.id) / "state" / AGENT_LOCK):
            return Condition.HEALTHY, ""
        if seconds(self._clock.now()) - record.created_at_s < _STARTING_S:
            return Condition.BUILDING, ""
        return Condition.ERRORED, f"its agent does not run: {self.last_words(record) or 'no output'}"

    def _end_all(self, record: ServerRecord) -> bool:
        """Kill its processes and have its containers gone; whether nothing of it runs any more."""
        holders = Holders(self._places(record))
        ended = holders.end(limit_s=_END_S)
        config = self._read_config(record)
        if config is None or config.runtime != "docker":
            return ended
        # Docker starts an engine that is killed: it is gone once its container is.
        Containers(self._python, config.docker_socket).clear(config.instance_id)
        return holders.end(limit_s=_END_S)

    def _read_config(self, record: ServerRecord) -> ServerConfig | None:
        """What its agent was told; None where that cannot be read any more."""
        try:
            return decode_server_config((self.shelf.path(record.id) / "config.json").read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    def _may_start(self, record: ServerRecord) -> bool:
        start = self._starts.get(record.id)
        if start is not None:
            if start.process.poll() is None:
                return False
            wait_s = min(0.2 * 2.0**start.failures, _BACK_OFF_MAX_S)
            if time.monotonic() - start.at_s < wait_s:
                return False
        return not _is_locked(self.shelf.path(record.id) / "state" / AGENT_LOCK)

    def _start(self, record: ServerRecord, *, failures: int) -> None:
        folder = self.shelf.path(record.id)
        self._layout.make_run()
        with (folder / "log" / _OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                [str(self._python), "-m", "muniment_guest.main", "--config", str(folder / "config.json")],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o022,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            )
        self._starts[record.id] = _Start(process, time.monotonic(), failures)

    def _reap(self, server_id: str) -> None:
        if (start := self._starts.get(server_id)) is not None and start.process.poll() is not None:
            del self._starts[server_id]

    def _let_go(self, record: ServerRecord) -> None:
        """Of what its processes, which have ended, leave in the system: a mounted file system, shared memory.

        Where somebody else runs something as the same user, another installation with the same range of numbers perhaps,
        its memory is left alone: nobody is given that number while there is any.

        Raises:
            Fault: something cannot be taken away.
        """
        volume = self._volumes.shelf.get(record.volume_id)
        if volume is None:
            return
        if volume.is_image:
            take_down(self.shelf.path(record.id) / "mount", self._volumes.data(volume))
        if volume.engine_uid is not None and volume.engine_uid not in processes.users():
            shared_memory.clear(volume.engine_uid)

    def _places(self, record: ServerRecord) -> list[Path]:
        return [self.shelf.path(record.id), self._run_dir(record), self._volumes.shelf.path(record.volume_id)]

    def _run_dir(self, record: ServerRecord) -> Path:
        return self._layout.run / record.id.replace("-", "")[:12]

    def _config(
        self, record: ServerRecord, recipe: ServerRecipe, volume: VolumeRecord, port: PortRecord, folder: Path
    ) -> ServerConfig:
        seed = recipe.seed
        return ServerConfig(
            instance_id=seed.instance_id,
            server_id=record.id,
            key_epoch=seed.key_epoch,
            token_file=str(folder / "token"),
            gateway_file=str(self._layout.gateway_file),
            ca_file=None if self._layout.ca_file is None else str(self._layout.ca_file),
            volume_device=str(self._volumes.data(volume)),
            mount_point=str(folder / "mount"),
            run_dir=str(self._run_dir(record)),
            state_dir=str(folder / "state"),
            log_dir=str(folder / "log"),
            cache_dir=str(self._layout.cache),
            address=port.address,
            port=port.port,
            engine_uid=volume.engine_uid,
            engine_gid=volume.engine_uid,
            memory_mib=seed.memory_mib,
            runtime=self.runtime,
            docker_socket=self._settings.docker_socket,
            full_copies=self._settings.full_copies,
            datastore=seed.datastore,
        )


def made_elsewhere(layout: Layout) -> Path | None:
    """Where the folder of servers was when one of them was made, if that is no longer this place; None otherwise.

    Agents and engines know their files by absolute paths. Changes nothing.

    Raises:
        Fault: a server's configuration cannot be read.
    """
    shelf = Shelf(layout.servers, ServerRecord)
    for record in shelf.all():
        here = shelf.path(record.id)
        there = _made_at(here / "config.json")
        if here != there and not (there.exists() and there.samefile(here)):
            return there.parent
    return None


def _made_at(config_file: Path) -> Path:
    """The directory in which a server was made."""
    try:
        return Path(decode_server_config(config_file.read_bytes()).state_dir).parent
    except (OSError, msgspec.MsgspecError) as error:
        raise Fault("cloud", f"{config_file} cannot be read: {error}", retryable=False) from error


def _is_locked(path: Path) -> bool:
    """Whether somebody holds the lock; looks by taking it for a moment, which agents bear."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        raise Fault("cloud", f"{path}: {error.strerror}") from error
    return False
