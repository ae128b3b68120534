"""Every op of the contract: its class, its capability, its arguments and its result.

The table is data, so that the API, the operations, the agent, the simulator and the conformance kit read the same one.
Ops of later issues (replication, configuration, upgrade, logs, TLS) join it with the driver that first has them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from muniment.contract.backup import BackupManifest, StoreRef
from muniment.contract.messages import Health, JobState, Outcome, VolumeFacts

__all__ = [
    "Account", "AlterUser", "Accounts", "Bootstrap", "BootstrapResult", "CreateBackup", "DatabaseSpec",
    "Databases", "Describe", "DropDatabase", "DropUser", "GetUser", "Grant", "GrantRemove", "Grants",
    "GrowVolume",
    "Install", "Installed", "JobRef", "JobReport", "Nothing", "OPS", "Op", "OpClass", "Page",
    "PrepareVolume", "RestoreBackup", "Restored", "StopServer", "SuperuserState", "UserSpec", "UserView",
    "op",
]  # fmt: skip


class OpClass(StrEnum):
    """query: read-only, not journaled. act: journaled, at most 60 s. job: long, journaled, reports progress, cancellable."""

    QUERY = "query"
    ACT = "act"
    JOB = "job"


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """No arguments, or no result."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A database account: its name, and its host where the datastore has one."""

    name: str
    host: str | None = None


class DatabaseSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A database that should exist."""

    name: str
    character_set: str | None = None
    collate: str | None = None


class UserSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An account that should exist with access to these databases. The password is the command's secret `password`."""

    account: Account
    databases: tuple[str, ...] = ()


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the engine has it."""

    account: Account
    databases: tuple[str, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a listing; ascending by name (`name@host`), the marker excluded."""

    limit: int = 1000
    marker: str | None = None


class Databases(msgspec.Struct, frozen=True, kw_only=True):
    """A page of databases, system ones left out."""

    items: tuple[DatabaseSpec, ...]
    more: bool = False


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts, system ones left out."""

    items: tuple[UserView, ...]
    more: bool = False


class DropDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """Which database to drop; one that is not there is a success."""

    name: str


class GetUser(msgspec.Struct, frozen=True, kw_only=True):
    """Which account to show; `not_found` when it is not there."""

    account: Account


class AlterUser(msgspec.Struct, frozen=True, kw_only=True):
    """Change an account. The new password, if any, is the command's secret `password`."""

    account: Account
    new_name: str | None = None
    new_host: str | None = None


class DropUser(msgspec.Struct, frozen=True, kw_only=True):
    """Which account to drop; what it owns goes to the superuser of the engine, databases are kept."""

    account: Account


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Full access of an account to these databases, in addition to what it has."""

    account: Account
    databases: tuple[str, ...]


class GrantRemove(msgspec.Struct, frozen=True, kw_only=True):
    """Take an account's access to one database away."""

    account: Account
    database: str


class Grants(msgspec.Struct, frozen=True, kw_only=True):
    """The databases an account can use."""

    databases: tuple[str, ...]


class SuperuserState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the tenant's superuser exists, and its name."""

    enabled: bool
    name: str = "root"


class PrepareVolume(msgspec.Struct, frozen=True, kw_only=True):
    """Make the data volume usable. A filesystem whose UUID is uuid5(volume id) is mounted and never formatted; any other
    signature is refused; only what is proven blank is formatted."""

    volume_id: str
    filesystem_uuid: UUID
    size_gib: int


class GrowVolume(msgspec.Struct, frozen=True, kw_only=True):
    """Have the filesystem of the prepared volume fill the volume, while it is in use; no-op when it does. A volume that is
    smaller than `size_gib` is `storage_unavailable`: its growth has not reached this machine yet."""

    size_gib: int


class Install(msgspec.Struct, frozen=True, kw_only=True):
    """Which engine. `image` is a reference for runtimes that pull one; a process runtime looks for the programs of `version`."""

    datastore: str
    version: str
    image: str | None = None
    image_digest: str | None = None


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What was found or pulled; the exact server version and, with an image, its digest."""

    server_version: str
    image_digest: str | None = None


class Bootstrap(msgspec.Struct, frozen=True, kw_only=True):
    """Bring the engine to life on a prepared volume: a fresh data directory where there is none, else the one that is there
    (after `restore.apply`). Resumable by phases."""

    base_config: dict[str, str]
    """File name to rendered text, from the ControlDriver."""
    memory_mib: int


class BootstrapResult(msgspec.Struct, frozen=True, kw_only=True):
    """The engine answers SQL."""

    health: Health


class StopServer(msgspec.Struct, frozen=True, kw_only=True):
    """Stop cleanly; the answer comes after the exit. Past the grace the processes are killed."""

    grace_s: float = 60.0


class CreateBackup(msgspec.Struct, frozen=True, kw_only=True):
    """Stream a backup into a store. The data key is the command's secret `data_key` (32 bytes)."""

    backup_id: UUID
    method: str = "full"
    target: StoreRef
    key_id: str
    wrapped_key: bytes
    """The data key under the project's key: opaque to the guest, written into the manifest as it is."""


class RestoreBackup(msgspec.Struct, frozen=True, kw_only=True):
    """Fill an empty data directory from a backup. Refused when it is not empty; what a failed try of the same command left is
    removed first. The data key is the command's secret `data_key`."""

    backup_id: UUID
    source: StoreRef
    manifest_sha256: str
    """What control recorded when the backup was completed; another manifest is `integrity_failed`."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored."""

    plain_bytes: int
    server_version: str


class JobRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which command is meant."""

    command_id: UUID


class JobReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where a command stands; `outcome` when finished. Asked about a command it never saw, the guest journals `never`."""

    state: JobState
    outcome: Outcome | None = None


class Describe(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent and its driver say of themselves."""

    agent_version: str
    driver: str
    contract: tuple[int, int]
    capabilities: tuple[str, ...]
    runtime: str


A = TypeVar("A", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True)
class Op(Generic[A, R]):
    """One op: name, class, the capability that offers it, arguments, result, and how long it may take by default."""

    name: str
    kind: OpClass
    capability: str
    args: type[A]
    result: type[R]
    deadline_s: float
    secrets: tuple[str, ...] = ()
    """Names of the secrets a command of this op may carry."""
    version: int = 1


OPS: dict[str, Op[msgspec.Struct, msgspec.Struct]] = {}


def op(name: str) -> "Op[msgspec.Struct, msgspec.Struct]":
    """The op of that name; raises KeyError for one the contract does not have."""
    return OPS[name]


def _op(
    name: str,
    kind: OpClass,
    capability: str,
    args: type[A],
    result: type[R],
    deadline_s: float,
    *secrets: str,
) -> Op[A, R]:
    made = Op(name, kind, capability, args, result, deadline_s, secrets)
    OPS[name] = made  # type: ignore[assignment]  # the table forgets the parameters, the constant keeps them
    return made


_Q, _A, _J = OpClass.QUERY, OpClass.ACT, OpClass.JOB

# the agent's own
AGENT_DESCRIBE = _op("agent.describe", _Q, "core", Nothing, Describe, 15)
AGENT_SHUTDOWN = _op("agent.shutdown", _A, "core", Nothing, Nothing, 60)
JOB_STATUS = _op("job.status", _Q, "core", JobRef, JobReport, 15)
JOB_CANCEL = _op("job.cancel", _Q, "core", JobRef, JobReport, 15)
VOLUME_PREPARE = _op("volume.prepare", _A, "volume", PrepareVolume, VolumeFacts, 60)
VOLUME_GROW = _op("volume.grow", _A, "volume", GrowVolume, VolumeFacts, 60)
VOLUME_STATS = _op("volume.stats", _Q, "volume", Nothing, VolumeFacts, 15)
# the driver's
HEALTH_PROBE = _op("health.probe", _Q, "core", Nothing, Health, 15)
SERVER_INSTALL = _op("server.install", _J, "core", Install, Installed, 900)
SERVER_BOOTSTRAP = _op("server.bootstrap", _J, "core", Bootstrap, BootstrapResult, 900)
SERVER_START = _op("server.start", _A, "core", Nothing, Health, 60)
SERVER_STOP = _op("server.stop", _A, "core", StopServer, Health, 60)
SERVER_RESTART = _op("server.restart", _A, "core", StopServer, Health, 60)
DB_LIST = _op("db.list", _Q, "databases", Page, Databases, 15)
DB_CREATE = _op("db.create", _A, "databases", DatabaseSpec, Nothing, 60)
DB_DROP = _op("db.drop", _A, "databases", DropDatabase, Nothing, 60)
USER_LIST = _op("user.list", _Q, "users", Page, Accounts, 15)
USER_GET = _op("user.get", _Q, "users", GetUser, UserView, 15)
USER_CREATE = _op("user.create", _A, "users", UserSpec, Nothing, 60, "password")
USER_ALTER = _op("user.alter", _A, "users", AlterUser, Nothing, 60, "password")
USER_DROP = _op("user.drop", _A, "users", DropUser, Nothing, 60)
GRANT_PUT = _op("grant.put", _A, "users", Grant, Nothing, 60)
GRANT_REMOVE = _op("grant.remove", _A, "users", GrantRemove, Nothing, 60)
SUPERUSER_ENABLE = _op("superuser.enable", _A, "superuser", Nothing, SuperuserState, 60, "password")
SUPERUSER_DISABLE = _op("superuser.disable", _A, "superuser", Nothing, SuperuserState, 60)
SUPERUSER_STATUS = _op("superuser.status", _Q, "superuser", Nothing, SuperuserState, 15)
BACKUP_CREATE = _op("backup.create", _J, "backup.full", CreateBackup, BackupManifest, 6 * 3600, "data_key")
RESTORE_APPLY = _op("restore.apply", _J, "restore", RestoreBackup, Restored, 6 * 3600, "data_key")
