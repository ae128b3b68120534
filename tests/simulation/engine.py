"""A database engine that is only a few sets, and what an agent's machine needs around it: duties, jobs, journal, files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.simulation.chance import Chance

from muniment.bus.endpoint import next_session
from muniment.bus.window import Window
from muniment.contract import ops
from muniment.contract.backup import BackupManifest
from muniment.contract.errors import Code, GuestError, OpFailed
from muniment.contract.messages import Health, HealthState, JobState, Outcome, VolumeFacts
from muniment.fault import Fault
from muniment.secret import Secret
from muniment_guest.duties import JobProgress, JobView
from muniment_guest.identity import Identity
from muniment_guest.journal import Entry, Progressed

__all__ = [
    "EngineData",
    "MemoryIdentity",
    "MemoryJournal",
    "Refusals",
    "SimulatedDuties",
    "SimulatedJobs",
]

_NOTHING = ops.Nothing()


@dataclass
class EngineData:
    """What lies on a data volume."""

    is_prepared: bool = False
    is_started: bool = False
    databases: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    grants: set[tuple[str, str]] = field(default_factory=set)
    """Which user has access to which database."""
    restored_from: UUID | None = None
    has_superuser: bool = False


class Refusals:
    """When the engine says no: by chance, or because a test wants it."""

    def __init__(self, chance: Chance) -> None:
        """By chance alone."""
        self._chance = chance
        self.always: set[str] = set()
        """Ops that are refused for good."""
        self.once: set[str] = set()
        """Ops that are refused the next time, and may be tried again."""

    def of(self, op: str) -> GuestError | None:
        """The refusal of an op, here and now."""
        if op in self.always:
            return GuestError(code=Code.DB_REFUSED, message="the engine refuses", retryable=False)
        if op in self.once or self._chance.happens("engine_refuses"):
            self.once.discard(op)
            return GuestError(code=Code.DB_REFUSED, message="the engine refuses", retryable=True)
        return None


class MemoryJournal:
    """See `Journal`; durable as long as its server."""

    def __init__(self) -> None:
        """Begin empty."""
        self.epoch = 0
        self.entries: dict[UUID, Entry] = {}
        self._marks: dict[str, str] = {}

    def find(self, command_id: UUID) -> Entry | None:
        """See `Journal`."""
        return self.entries.get(command_id)

    def running(self) -> Entry | None:
        """See `Journal`."""
        return next((e for e in self.entries.values() if e.state is Progressed.STARTED), None)

    def latest(self) -> Entry | None:
        """See `Journal`."""
        return next((e for e in reversed(self.entries.values()) if e.state is Progressed.DONE), None)

    def mark(self, name: str) -> str:
        """See `Journal`."""
        return self._marks.get(name, "")

    def raise_epoch(self, epoch: int) -> None:
        """See `Journal`."""
        self.epoch = epoch

    def start(self, entry: Entry) -> None:
        """See `Journal`."""
        self.entries[entry.command_id] = entry

    def finish(self, outcome: Outcome, *, at_s: float, marks: Mapping[str, str] | None = None) -> None:
        """See `Journal`."""
        started = self.entries[outcome.command_id]
        self.entries[outcome.command_id] = msgspec.structs.replace(
            started, state=Progressed.DONE, at_s=at_s, outcome=outcome
        )
        self._marks.update(marks or {})

    def promise_never(self, command_id: UUID, *, at_s: float) -> None:
        """See `Journal`."""
        self.entries[command_id] = Entry(command_id=command_id, state=Progressed.NEVER, at_s=at_s)


class MemoryIdentity:
    """See `IdentityFiles`; durable as long as its server."""

    def __init__(self, token: Secret) -> None:
        """A new server knows only its token."""
        self._token: Secret | None = token
        self._identity: Identity | None = None
        self._key: X25519PrivateKey | None = None
        self._session = 0
        self._window = Window()

    def read(self) -> Identity | None:
        """See `IdentityFiles`."""
        return self._identity

    def write(self, identity: Identity) -> None:
        """See `IdentityFiles`."""
        self._identity, self._token, self._key = identity, None, None

    def token(self) -> Secret:
        """See `IdentityFiles`."""
        if self._token is None:
            raise Fault("agent", "there is no token", retryable=False)
        return self._token

    def enrolling_key(self) -> X25519PrivateKey:
        """See `IdentityFiles`."""
        self._key = self._key or X25519PrivateKey.generate()
        return self._key

    def next_session(self, now_ms: int) -> int:
        """See `IdentityFiles`."""
        self._session = next_session(self._session, now_ms)
        return self._session

    def read_window(self) -> Window:
        """See `IdentityFiles`."""
        return self._window

    def write_window(self, window: Window) -> None:
        """See `IdentityFiles`."""
        self._window = window

    def forget_token(self) -> None:
        """See `IdentityFiles`."""
        self._token = None


class SimulatedDuties:
    """See `Duties`."""

    def __init__(self, data: EngineData, refusals: Refusals, acting: Callable[[str], None]) -> None:
        """Work on `data`; `acting` is called before and after each effect, and may not return."""
        self._data = data
        self._refusals = refusals
        self._acting = acting

    def query(self, op: str, args: bytes) -> msgspec.Struct:
        """See `Duties`."""
        if op == ops.HEALTH_PROBE.name:
            return self.health()
        raise OpFailed(Code.UNSUPPORTED, f"no {op} here")

    def act(self, op: str, args: bytes, secrets: Mapping[str, Secret]) -> msgspec.Struct:
        """See `Duties`."""
        self._acting("before_effect")
        if (error := self._refusals.of(op)) is not None:
            raise OpFailed(error.code, error.message, retryable=error.retryable)
        result = self._do(op, msgspec.json.decode(args, type=ops.op(op).args))
        self._acting("after_effect")
        return result

    def abandon(self, op: str, args: bytes) -> None:
        """See `Duties`."""

    def health(self) -> Health:
        """How the engine is."""
        return Health(state=HealthState.HEALTHY if self._data.is_started else HealthState.STOPPED)

    def _do(self, op: str, args: msgspec.Struct) -> msgspec.Struct:
        data = self._data
        match args:
            case ops.PrepareVolume():
                data.is_prepared = True
                size_bytes = args.size_gib * 2**30
                return VolumeFacts(
                    filesystem="xfs",
                    uuid=args.filesystem_uuid,
                    size_bytes=size_bytes,
                    used_bytes=0,
                    available_bytes=size_bytes,
                    reflink=True,
                    enforced=True,
                )
            case ops.GrowVolume():
                assert data.is_prepared, "nothing to grow"
                size_bytes = args.size_gib * 2**30
                return VolumeFacts(
                    filesystem="xfs",
                    uuid=None,
                    size_bytes=size_bytes,
                    used_bytes=0,
                    available_bytes=size_bytes,
                    reflink=True,
                    enforced=True,
                )
            case ops.StopServer():
                assert data.is_started, "nothing to restart"
                return self.health()
            case ops.DatabaseSpec(name=name):
                data.databases.add(name)
            case ops.DropDatabase(name=name):
                data.databases.discard(name)
            case ops.UserSpec(account=account):
                data.users.add(account.name)
            case ops.AlterUser(account=account):
                data.users.discard(account.name)
                data.users.add(args.new_name or account.name)
            case ops.DropUser(account=account):
                data.users.discard(account.name)
            case ops.Grant(account=account):
                data.grants |= {(account.name, database) for database in args.databases}
            case ops.GrantRemove(account=account):
                data.grants.discard((account.name, args.database))
        if op in (ops.SUPERUSER_ENABLE.name, ops.SUPERUSER_DISABLE.name):
            data.has_superuser = op == ops.SUPERUSER_ENABLE.name
            return ops.SuperuserState(enabled=data.has_superuser)
        if op == ops.SERVER_START.name:
            data.is_started = True
            return self.health()
        return _NOTHING


@dataclass
class _Job:
    entry: Entry
    ends_at_s: float
    starts: int = 1
    outcome: Outcome | None = None


class SimulatedJobs:
    """See `Jobs`: they run on while their agent is down, and end with their server."""

    def __init__(
        self,
        data: EngineData,
        chance: Chance,
        refusals: Refusals,
        now_s: Callable[[], float],
        acting: Callable[[UUID, str], None],
        objects: dict[str, set[str]],
    ) -> None:
        """Work on `data` and `objects`; `acting` is called at the begin and end of each job."""
        self._data = data
        self._chance = chance
        self._now_s = now_s
        self._acting = acting
        self._objects = objects
        self._jobs: dict[UUID, _Job] = {}
        self._refusals = refusals

    def start(self, entry: Entry, secrets: Mapping[str, Secret]) -> None:
        """See `Jobs`."""
        self._acting(entry.command_id, "before_effect")
        lasts_s = self._chance.random.uniform(1, 120)
        self._jobs[entry.command_id] = _Job(entry, self._now_s() + lasts_s)
        self._begin(entry)
        self._acting(entry.command_id, "after_effect")

    def look(self, command_id: UUID) -> JobView:
        """See `Jobs`."""
        job = self._jobs.get(command_id)
        if job is None:
            return JobView(state=JobState.NEVER)
        if job.outcome is None and job.ends_at_s <= self._now_s():
            self._acting(command_id, "at_end")
            job.outcome = self._outcome(job)
        state = JobState.RUNNING if job.outcome is None else JobState.FINISHED
        return JobView(state=state, progress=JobProgress(), outcome=job.outcome, starts=job.starts)

    def end(self, command_id: UUID) -> None:
        """See `Jobs`."""
        job = self._jobs.get(command_id)
        if job is not None and job.outcome is None:
            del self._jobs[command_id]

    def forget(self, command_id: UUID) -> None:
        """See `Jobs`."""
        self._jobs.pop(command_id, None)

    def next_due_s(self) -> float | None:
        """When the next job ends."""
        return min((j.ends_at_s for j in self._jobs.values() if j.outcome is None), default=None)

    def _begin(self, entry: Entry) -> None:
        args = msgspec.json.decode(entry.args, type=ops.op(entry.op).args)
        if isinstance(args, ops.CreateBackup):
            self._objects.setdefault(args.target.location, set()).add("segment-1")

    def _outcome(self, job: _Job) -> Outcome:
        entry, now_s = job.entry, self._now_s()
        if (error := self._refusals.of(entry.op)) is not None:
            return Outcome(command_id=entry.command_id, ok=False, error=error, finished_at=now_s)
        args = msgspec.json.decode(entry.args, type=ops.op(entry.op).args)
        result = msgspec.json.encode(self._finish(entry, args))
        return Outcome(command_id=entry.command_id, ok=True, result=result, finished_at=now_s)

    def _finish(self, entry: Entry, args: msgspec.Struct) -> msgspec.Struct:
        match args:
            case ops.Install():
                return ops.Installed(server_version="1.0")
            case ops.Bootstrap():
                self._data.is_started = True
                return ops.BootstrapResult(health=Health(state=HealthState.HEALTHY))
            case ops.RestoreBackup():
                self._data.restored_from = args.backup_id
                self._data.has_superuser = True  # as every backup may hold one
                return ops.Restored(plain_bytes=1, server_version="1.0")
            case ops.CreateBackup():
                return self._store(entry, args)
        raise AssertionError(f"no job {entry.op}")

    def _store(self, entry: Entry, args: ops.CreateBackup) -> BackupManifest:
        self._objects.setdefault(args.target.location, set()).update({"segment-1", "manifest"})
        return BackupManifest(
            backup_id=args.backup_id,
            instance_id=UUID(int=0),
            datastore="simulated",
            server_version="1.0",
            method="full",
            tool="none",
            key_id=args.key_id,
            wrapped_key=args.wrapped_key,
            segments=(),
            frames=0,
            plain_bytes=1,
            plain_sha256="",
            stored_bytes=1,
        )
