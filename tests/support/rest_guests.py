"""What is behind an API when its operations are to end: the real worker on a calm cloud, and guests whose engines are a few
dictionaries. Messages are not sealed here: guests read the outbox and write signals, as relay and conductor would for them."""

from dataclasses import dataclass, field
from random import Random
from uuid import UUID, uuid4

import msgspec
from tests.simulation.chance import Chance
from tests.simulation.cloud import SimulatedCloud, Thing
from tests.support.ledgers import VAULT

from muniment.clock import ManualClock, seconds
from muniment.cloud.cloud import ObjectStore
from muniment.cloud.recipes import ServerRecipe
from muniment.contract import ops
from muniment.contract.backup import BackupManifest
from muniment.contract.errors import Code, GuestError, OpFailed
from muniment.contract.messages import Health, HealthState, Outcome, VolumeFacts, encode
from muniment.dispatch.command_ids import command_id_of
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.operation_secrets import open_secret_row
from muniment.dispatch.replies import put_reply
from muniment.dispatch.signals import SignalKind, answer_signal
from muniment.domain.event import About
from muniment.domain.guest import enrolled, health_reported
from muniment.domain.instance import INSTANCE
from muniment.operations.catalogue import CATALOGUE
from muniment.operations.performing import Performer
from muniment.operations.scene import Knowledge
from muniment.operations.taskmanager import TaskManager
from muniment.operations.timing import ONE_MACHINE
from muniment.operations.worker import Worker
from muniment.store.ledger import Ledger
from muniment.store.reader import Reader
from muniment.store.state import OutboxRow
from muniment.store.writes import MarkSent, Poke, ReportVolume, WithdrawOutbox, Write

__all__ = ["Engine", "RestGuests"]

_ABOUT = About(project_id="", actor="conductor")
_OK = ops.Nothing()
_LEAP_S = 30.0


@dataclass
class Engine:
    """What a tenant could see of one engine."""

    databases: dict[str, ops.DatabaseSpec] = field(default_factory=dict)
    users: dict[str, set[str]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    has_superuser: bool = False


class RestGuests:
    """Drives operations and answers for every instance. The clock leaps to what is due next, so nobody waits for it."""

    def __init__(
        self, ledger: Ledger, clock: ManualClock, knowledge: Knowledge, objects: ObjectStore
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self.engines: dict[UUID, Engine] = {}
        self.silent = False
        """Whether guests say nothing at the moment."""
        self.mute: set[UUID] = set()
        """Instances whose guests say nothing at the moment."""
        self.holds: set[str] = set()
        """Names of ops that guests have begun and do not end at the moment."""
        self.asked: list[str] = []
        """Names of the ops that live questions were, in order."""
        self.endless = False
        """Whether every page of databases has another one behind it."""
        self.errors: dict[str, GuestError] = {}
        """What ops of a name end in."""
        self.cloud = SimulatedCloud(Chance(Random(7)), self._now_s, uuid4, clock.advance)
        self.cloud.on_server = self._boots
        self._booting: list[Thing] = []
        worker = Worker(
            ledger,
            catalogue=CATALOGUE,
            knowledge=knowledge,
            performer=Performer(self.cloud, objects, now_s=self._now_s),
            guest_keys=GuestKeys(VAULT),
            clock=clock,
            new_id=uuid4,
        )
        lease_s = ONE_MACHINE.lease_s
        self._taskmanager = TaskManager(ledger, worker, clock, owner="test", lease_s=lease_s)

    def run_once(self) -> bool:
        """Do what can be done now; False when that was nothing."""
        due_s = self._taskmanager.run_once()
        if self._enrol() or (not self.silent and self._answer_all()):
            return True
        ahead_s = due_s - self._now_s()
        if self.silent or self.mute or self.holds:
            return False  # nobody's patience is tried by a clock that leaps
        if 0 < ahead_s < _LEAP_S:
            self._clock.advance(ahead_s + 1e-6)
        return ahead_s < _LEAP_S

    def report_volume(self, instance_id: UUID, used_bytes: int, available_bytes: int) -> None:
        """A beat tells what the volume holds."""
        facts = _volume(used_bytes + available_bytes, used_bytes)
        self._ledger.save([], _ABOUT, writes=[ReportVolume(instance_id, msgspec.json.encode(facts))])

    def report_health(self, instance_id: UUID, state: str) -> None:
        """A beat tells how the engine is."""
        self._ledger.command(
            INSTANCE, instance_id, lambda s: health_reported(s, state, "") if s else [], _ABOUT
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    def _now_s(self) -> float:
        return seconds(self._clock.now())

    def _boots(self, thing: Thing) -> None:
        self._booting.append(thing)

    def _enrol(self) -> bool:
        """Guests whose server is held say who they are."""
        for thing in list(self._booting):
            assert isinstance(thing.recipe, ServerRecipe)
            seed = thing.recipe.seed
            instance = self._ledger.load(INSTANCE, seed.instance_id)
            assert instance is not None
            events = enrolled(instance, thing.id, seed.key_epoch)
            about = msgspec.structs.replace(_ABOUT, project_id=instance.project_id)
            writes = [Poke(occupant.operation_id) for occupant in instance.occupants]
            self._ledger.save(events, about, writes=writes)
            self.engines[seed.instance_id] = Engine()
            self._booting.remove(thing)
            return True
        return False

    def _answer_all(self) -> bool:
        with self._ledger.reading() as reader:
            due = reader.outbox_due(1000)
            rows = [row for row in due if row.op not in self.holds and row.instance_id not in self.mute]
            answers = [write for row in rows for write in self._answered(reader, row)]
        if answers:
            self._ledger.save([], _ABOUT, writes=answers)
        return bool(answers)

    def _answered(self, reader: Reader, row: OutboxRow) -> list[Write]:
        body = encode(self._outcome(reader, row))
        if row.operation_id is None:
            self.asked.append(row.op)
            return [put_reply(VAULT, row.id, body, self._now_s()), WithdrawOutbox((row.id,))]
        waiting = reader.unanswered(row.instance_id)
        if waiting is None or str(waiting.command_id) != row.id:
            return [WithdrawOutbox((row.id,))]
        return [
            answer_signal(waiting, SignalKind.OUTCOME, body, self._now_s()),
            MarkSent(row.id, self._now_s()),
        ]

    def _outcome(self, reader: Reader, row: OutboxRow) -> Outcome:
        command_id = command_id_of(row.id)
        secrets = {}
        for name, ref in row.secret_refs.items():
            secret_row = reader.secret(ref)
            assert secret_row is not None, f"the secret {name} of a command is gone"
            secrets[name] = open_secret_row(VAULT, secret_row)
        password = secrets["password"].reveal_text() if "password" in secrets else ""
        args = msgspec.json.decode(row.args, type=ops.op(row.op).args)
        try:
            if row.op in self.errors:
                raise OpFailed(self.errors[row.op].code, self.errors[row.op].message)
            result = _Work(self.engines[row.instance_id], password).do(row.op, args)
            if self.endless and isinstance(result, ops.Databases):
                result = msgspec.structs.replace(result, items=(ops.DatabaseSpec(name="again"),), more=True)
        except OpFailed as failed:
            return Outcome(command_id=command_id, ok=False, error=failed.error)
        return Outcome(command_id=command_id, ok=True, result=msgspec.json.encode(result))


@dataclass
class _Work:
    """One op on one engine; databases and users obey as PostgreSQL's do."""

    engine: Engine
    password: str

    def do(self, op: str, args: msgspec.Struct) -> msgspec.Struct:
        """The op's result; raises OpFailed."""
        engine = self.engine
        match args:
            case ops.PrepareVolume():
                return _volume(args.size_gib * 2**30, 0)
            case ops.GrowVolume():
                return _volume(args.size_gib * 2**30, 0)
            case ops.Nothing() if op == ops.SERVER_START.name:
                return Health(state=HealthState.HEALTHY)
            case ops.Install():
                return ops.Installed(server_version="18.6")
            case ops.Bootstrap():
                return ops.BootstrapResult(health=Health(state=HealthState.HEALTHY))
            case ops.StopServer():
                return Health(state=HealthState.HEALTHY)
            case ops.RestoreBackup():
                return ops.Restored(plain_bytes=1, server_version="18.6")
            case ops.CreateBackup():
                return _manifest(args)
            case ops.Page() if op == ops.DB_LIST.name:
                names, more = _page(engine.databases, args)
                return ops.Databases(items=tuple(engine.databases[name] for name in names), more=more)
            case ops.Page():
                names, more = _page(engine.users, args)
                return ops.Accounts(items=tuple(self._view(name) for name in names), more=more)
            case ops.DatabaseSpec(name=name):
                engine.databases[name] = args
            case ops.DropDatabase(name=name):
                engine.databases.pop(name, None)
            case ops.GetUser(account=account):
                return self._view(account.name)
            case _:
                return self._change(op, args)
        return _OK

    def _change(self, op: str, args: msgspec.Struct) -> msgspec.Struct:
        engine = self.engine
        match args:
            case ops.UserSpec(account=account, databases=databases):
                engine.users[account.name] = set(databases)
                engine.passwords[account.name] = self.password
            case ops.AlterUser(account=account, new_name=new_name):
                engine.users[new_name or account.name] = engine.users.pop(account.name)
                kept = engine.passwords.pop(account.name)
                engine.passwords[new_name or account.name] = self.password or kept
            case ops.DropUser(account=account):
                del engine.users[account.name]
            case ops.Grant(account=account, databases=databases):
                engine.users[account.name].update(databases)
            case ops.GrantRemove(account=account, database=database):
                engine.users[account.name].discard(database)
            case _:
                return self._superuser(op)
        return _OK

    def _superuser(self, op: str) -> ops.SuperuserState:
        engine = self.engine
        if op == ops.SUPERUSER_ENABLE.name:
            engine.has_superuser, engine.passwords["root"] = True, self.password
        elif op == ops.SUPERUSER_DISABLE.name:
            engine.has_superuser = False
        else:
            assert op == ops.SUPERUSER_STATUS.name, op
        return ops.SuperuserState(enabled=engine.has_superuser)

    def _view(self, name: str) -> ops.UserView:
        if name not in self.engine.users:
            raise OpFailed(Code.NOT_FOUND, f"there is no user {name!r}")
        databases = tuple(sorted(self.engine.users[name]))
        return ops.UserView(account=ops.Account(name=name), databases=databases)


def _page(names: dict[str, ops.DatabaseSpec] | dict[str, set[str]], page: ops.Page) -> tuple[list[str], bool]:
    marker = "" if page.marker is None else page.marker.removesuffix("@%")
    behind = [name for name in sorted(names) if name > marker]
    return behind[: page.limit], len(behind) > page.limit


def _volume(size_bytes: int, used_bytes: int) -> VolumeFacts:
    return VolumeFacts(
        filesystem="xfs",
        uuid=None,
        size_bytes=size_bytes,
        used_bytes=used_bytes,
        available_bytes=size_bytes - used_bytes,
        reflink=True,
        enforced=True,
    )


def _manifest(args: ops.CreateBackup) -> BackupManifest:
    return BackupManifest(
        backup_id=args.backup_id,
        instance_id=UUID(int=0),
        datastore="postgresql",
        server_version="18.6",
        method="full",
        tool="none",
        key_id=args.key_id,
        wrapped_key=args.wrapped_key,
        segments=(),
        frames=0,
        plain_bytes=3 * 2**30 // 2,
        plain_sha256="",
        stored_bytes=1,
    )
