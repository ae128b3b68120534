"""What must hold at every moment of a run, whatever goes wrong; and what must hold at its end."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from muniment.cloud.recipes import Kind, Recipe, Tag
from muniment.domain.backup import (
    BACKUP,
    BackupCompleted,
    BackupDeleted,
    BackupFailed,
    BackupStatus,
    UploadGranted,
)
from muniment.domain.event import Event
from muniment.domain.instance import (
    INSTANCE,
    DatabaseCreated,
    DatabaseDropped,
    EpochRaised,
    InstanceDeleted,
    InstanceFailed,
    InstanceRequested,
    Lifecycle,
    UserCreated,
    UserDropped,
)
from muniment.domain.operation import (
    OPERATION,
    Completed,
    End,
    Intended,
    Operation,
    Started,
    SubjectKind,
    UnwindingStarted,
)
from muniment.domain.resources import Role
from muniment.operations.cloud_steps import Ensure
from muniment.operations.create_instance import CREATE_INSTANCE
from muniment.operations.resize_volume import RESIZE_VOLUME
from muniment.operations.steps import Step
from muniment.operations.volume_steps import Extend
from muniment_guest.journal import Entry

if TYPE_CHECKING:
    from tests.simulation.server import SimulatedServer
    from tests.simulation.world import World

__all__ = ["Bug", "Violation", "Watch", "base_name"]


class Violation(BaseException):
    """Something happened that must not. Not an Exception: no code of the control plane may catch it and go on."""


class Bug(Violation):
    """Code of ours met what it cannot have expected."""


def base_name(step: str) -> str:
    """The name that all members of a group share.

    >>> base_name("create_user_12")
    'create_user'
    """
    return re.sub(r"_\d+$", "", step)


class Watch:
    """Sees every event that is saved and every act of a guest."""

    def __init__(self, world: World) -> None:
        """Watch `world`."""
        self._world = world
        self.operations: dict[UUID, str] = {}
        """Kind of each operation, by id."""
        self.ended: dict[UUID, End] = {}
        self.instances: dict[UUID, str] = {}
        """Project of each instance, by id."""
        self.backups: set[UUID] = set()
        self._commands: dict[UUID, tuple[UUID, str]] = {}
        self._instance_of: dict[UUID, UUID] = {}
        """The instance that an operation is about."""
        self._epochs: defaultdict[UUID, int] = defaultdict(lambda: 1)
        """Of each instance."""
        self._made_under: dict[UUID, int] = {}
        """The highest epoch that an operation's commands were made under."""
        self._fenced: defaultdict[UUID, int] = defaultdict(int)
        """The lowest epoch under which a command of the instance may be made, since others ended without an answer."""
        self._stale_at_birth: dict[UUID, int] = {}
        """That epoch, for each command, as it was when the command was made."""
        self._call_by_s: dict[Tag, float] = {}
        """When the last permit to make such a resource ends."""
        self._granted: dict[UUID, float] = {}
        """Until when a guest may write, by backup of which nobody knows whether one still does."""
        self._purged_in_time: set[UUID] = set()
        """Backups of which a purge began when no guest could write any more."""
        self._acted: dict[tuple[UUID, str], list[tuple[SimulatedServer, UUID]]] = defaultdict(list)

    # -- at every save -------------------------------------------------------------------------------------------------

    def saved(self, events: Sequence[Event]) -> None:
        """These events were just stored."""
        given_up: set[UUID] = set()
        for event in events:
            match event:
                case InstanceRequested():
                    self.instances[event.originator_id] = event.project_id
                case Started():
                    self.operations[event.originator_id] = event.kind
                    self.backups |= {s.id for s in event.subjects if s.kind == "backup"}
                    for subject in event.subjects:
                        if subject.kind is SubjectKind.INSTANCE:
                            self._instance_of[event.originator_id] = subject.id
                case Intended(command_id=UUID() as command):
                    self._commands[command] = (event.originator_id, event.step)
                    self._command_made(event, command)
                case Intended(call_by_s=float() as call_by_s):
                    if (tag := self._tag_of(event)) is not None:
                        self._call_by_s[tag] = call_by_s
                case EpochRaised():
                    self._epochs[event.originator_id] = event.epoch
                case UnwindingStarted() if event.unsure:
                    given_up.add(event.originator_id)
                case Completed():
                    self.ended[event.originator_id] = event.outcome
                    if event.outcome in (End.TAKEN_OVER, End.RESET):
                        given_up.add(event.originator_id)
                case UploadGranted():
                    self._granted[event.originator_id] = event.until_s
                case BackupCompleted() | BackupFailed(is_unsettled=False):
                    self._granted.pop(event.originator_id, None)
                case BackupDeleted():
                    self._deleted(event.originator_id)
                case InstanceDeleted() | InstanceFailed():
                    self._nothing_exists(event.originator_id)
        for operation_id in given_up:
            self._is_fenced(operation_id)
        self._exists_at_most_counted()
        self._one_command_an_instance()

    def _command_made(self, event: Intended, command: UUID) -> None:
        assert event.epoch is not None
        operation_id = event.originator_id
        self._made_under[operation_id] = max(event.epoch, self._made_under.get(operation_id, 0))
        self._stale_at_birth[command] = self._fenced[self._instance_of[operation_id]]

    def _is_fenced(self, operation_id: UUID) -> None:
        """Its commands may still reach the guest: whatever is made from here on must make them stale."""
        instance_id = self._instance_of.get(operation_id)
        if instance_id is None:
            return
        made_under = self._made_under.get(operation_id, 0)
        if self._epochs[instance_id] <= made_under:
            raise Violation(
                f"{self.operations[operation_id]} let go of a command of epoch {made_under}, which its instance still has"
            )
        self._fenced[instance_id] = self._epochs[instance_id]

    def _tag_of(self, event: Intended) -> Tag | None:
        """What a step that makes something makes; None for one that makes what is there larger."""
        parts = self._world.catalogue[self.operations[event.originator_id]].steps
        step = next(part for part in parts if isinstance(part, Step) and part.name == event.step)
        if isinstance(step.kind, Extend):
            return None
        assert isinstance(step.kind, Ensure), "only calls that make or extend something have an end"
        return Tag(self._instance_of[event.originator_id], step.kind.role)

    def creates(self, recipe: Recipe) -> None:
        """A call begins that makes something."""
        call_by_s = self._call_by_s.get(recipe.tag)
        if call_by_s is None:
            raise Violation(f"a {recipe.kind} is made that nobody intended")
        late_s = self._world.now_s() - call_by_s
        if late_s > 0:
            raise Violation(f"a {recipe.kind} is made {late_s:.1f} s after the end of the intent")

    def _deleted(self, backup_id: UUID) -> None:
        if backup_id in self._granted and backup_id not in self._purged_in_time:
            raise Violation(f"backup {backup_id} is deleted while a guest may still write it")

    def purges(self, location: str) -> None:
        """A purge begins. It is to be believed once no guest may write: when the grant or the server has come to its end."""
        backup_id = UUID(location.rpartition("/")[2])
        instance_id = self._world.backup(backup_id).instance_id
        self._world.cloud.settle()
        has_server = any(
            t.recipe.kind is Kind.SERVER and t.tag.instance_id == instance_id
            for t in self._world.cloud.things.values()
        )
        if not has_server or self._world.now_s() >= self._granted.get(backup_id, 0.0):
            self._purged_in_time.add(backup_id)

    def _exists_at_most_counted(self) -> None:
        cloud = self._world.cloud
        for project, gib in cloud.gib_of(lambda instance_id: self.instances[instance_id]).items():
            counted = self.counted(project).get("volumes", 0)
            if gib > counted:
                raise Violation(f"{gib} GiB exist in {project}, {counted} are counted")
        for location in self._world.objects.objects:
            project = location.partition("/")[0]
            stored = sum(1 for other in self._world.objects.objects if other.startswith(f"{project}/"))
            if stored > self.counted(project).get("backups", 0):
                raise Violation(f"{stored} backups have objects in {project}, fewer are counted")

    def counted(self, project: str) -> dict[str, int]:
        """What the quota counts for a project, by resource."""
        with self._world.ledger.reading() as reader:
            return {resource: sum(by.values()) for resource, by in reader.counted(project).items()}

    def _one_command_an_instance(self) -> None:
        crowded = self._world.rows(
            """SELECT instance_id FROM outbox WHERE operation_id IS NOT NULL AND query_of IS NULL
            GROUP BY instance_id HAVING COUNT(*) > 1"""
        )
        if crowded:
            raise Violation(f"several commands of {crowded[0]['instance_id']} wait for an answer at once")

    def _nothing_exists(self, instance_id: UUID) -> None:
        cloud = self._world.cloud
        cloud.settle()
        left = [t.id for t in cloud.things.values() if t.tag.instance_id == instance_id]
        if left:
            raise Violation(f"{', '.join(left)} of {instance_id} exist after its end")

    # -- at every act of a guest ---------------------------------------------------------------------------------------

    def step_of(self, command_id: UUID) -> str:
        """Which step a command belongs to, without the number of its group."""
        return base_name(self._commands[command_id][1])

    def guest_acts(self, server: SimulatedServer, entry: Entry) -> None:
        """An effect is about to come."""
        if entry.command_id not in self._commands:
            raise Violation(f"the guest acts on {entry.op}, which nobody intended")
        operation_id, step = self._commands[entry.command_id]
        outcome = self.ended.get(operation_id)
        if outcome is not None and outcome not in (End.TAKEN_OVER, End.RESET):
            raise Violation(f"{step} acts after the end ({outcome}) of its operation")
        if entry.instance_epoch < server.journal.epoch:
            raise Violation(f"{entry.op} acts under a stale epoch")
        if entry.instance_epoch < self._stale_at_birth[entry.command_id]:
            raise Violation(f"{entry.op} acts under the epoch of what had ended before it was made")
        for other_server, other in self._acted[operation_id, step]:
            if other == entry.command_id and other_server is server and not entry.had_secrets:
                continue  # taken up after a crash of the agent: detect, then finish
            if other == entry.command_id:
                raise Violation(f"{entry.op} of {step} acts twice under one id")
            before = other_server.journal.find(other)
            if other_server is server and (before is None or before.outcome is None or before.outcome.ok):
                raise Violation(f"{step} acts under a new id while the old one acted or may yet")
        if server.recipe.seed.instance_id not in self.instances:
            raise Violation("a guest of no instance acts")
        self._acted[operation_id, step].append((server, entry.command_id))

    def guest_ends(self, server: SimulatedServer, entry: Entry) -> None:
        """A job comes to its end."""
        if entry.instance_epoch < server.journal.epoch:
            raise Violation(f"{entry.op} goes on under a stale epoch")

    # -- at the end ----------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """Everything is calm, and every operation has ended."""
        if self._world.cloud.complaints:
            raise Violation("; ".join(self._world.cloud.complaints))
        self._rows_are_gone()
        for operation_id, kind in self.operations.items():
            if operation_id not in self.ended:
                raise Violation(f"{kind} {operation_id} has not ended")
        for instance_id in self.instances:
            self._check_instance(instance_id)
        for backup_id in self.backups:
            self._check_backup(backup_id)
        for project in set(self.instances.values()):
            self._check_quota(project)

    def _rows_are_gone(self) -> None:
        with self._world.ledger.reading() as reader:
            if rows := reader.queue():
                raise Violation(f"{len(rows)} operations are still in the queue")
            for operation_id in self.operations:
                if reader.signals(operation_id):
                    raise Violation(f"signals of {operation_id} are left")
            for instance_id in self.instances:
                if reader.unanswered(instance_id) is not None:
                    raise Violation(f"a command of {instance_id} is still unanswered")
                if [row for row in reader.outbox_of(instance_id) if row.operation_id is not None]:
                    raise Violation(f"outbox rows of {instance_id} are left")
        if self._world.rows("SELECT ref FROM secrets"):
            raise Violation("secrets are left")

    def _check_instance(self, instance_id: UUID) -> None:
        instance = self._world.ledger.load(INSTANCE, instance_id)
        assert instance is not None
        things = [t for t in self._world.cloud.things.values() if t.tag.instance_id == instance_id]
        if instance.occupants:
            raise Violation(f"{instance_id} is still occupied")
        if self._is_reset_for_good(instance_id):
            return  # what its create may have made stays, and counted, until its owner deletes it
        if instance.lifecycle in (Lifecycle.DELETED, Lifecycle.FAILED):
            if things:
                raise Violation(f"{instance_id} is {instance.lifecycle} and has {[t.id for t in things]}")
            return
        if instance.lifecycle is not Lifecycle.ACTIVE:
            raise Violation(f"{instance_id} is {instance.lifecycle} at the end")
        held = {instance.held(role) for role in Role}
        if {t.id for t in things} != held or any(t.is_errored for t in things):
            raise Violation(f"{instance_id} holds {held} and has {[t.id for t in things]}")
        self._check_databases(instance_id)

    def _check_databases(self, instance_id: UUID) -> None:
        server = self._world.server_of(instance_id)
        if server is None:
            raise Violation(f"{instance_id} is active and has no server")
        databases: set[str] = set()
        users: set[str] = set()
        for event in self._world.ledger.history(instance_id):
            match event:
                case DatabaseCreated():
                    databases.add(event.name)
                case DatabaseDropped():
                    databases.discard(event.name)
                case UserCreated():
                    users.add(event.name)
                case UserDropped():
                    users.discard(event.name)
        # A reset leaves what it ended unsettled on purpose, as does an end without an answer.
        unknown = any(
            outcome in (End.FAILED_UNKNOWN, End.RESET) and self._is_of(operation_id, instance_id)
            for operation_id, outcome in self.ended.items()
        )
        if not unknown and (databases, users) != (server.data.databases, server.data.users):
            raise Violation(
                f"history of {instance_id}: {databases} {users}; engine: {server.data.databases} {server.data.users}"
            )

    def _unsure_gib(self, project: str) -> int:
        """What reset operations may have added to the volumes that are there, or not."""
        with self._world.ledger.reading() as reader:
            kept = [
                reader.reservation(operation_id).get("volumes", (0, "released"))
                for operation_id, outcome in self.ended.items()
                if outcome is End.RESET
                and self.operations[operation_id] == RESIZE_VOLUME.kind
                and self.instances[self._instance_of[operation_id]] == project
            ]
        return sum(delta for delta, state in kept if state == "reserved")

    def _is_reset_for_good(self, instance_id: UUID) -> bool:
        """Whether a reset ended its create, and nobody has deleted it since."""
        if self._world.instance(instance_id).lifecycle is not Lifecycle.FAILED:
            return False
        return any(
            outcome is End.RESET
            and self.operations[operation_id] == CREATE_INSTANCE.kind
            and self._instance_of[operation_id] == instance_id
            for operation_id, outcome in self.ended.items()
        )

    def _is_of(self, operation_id: UUID, instance_id: UUID) -> bool:
        operation = self.operation(operation_id)
        return any(subject.id == instance_id for subject in operation.subjects)

    def operation(self, operation_id: UUID) -> Operation:
        """An operation as it stands."""
        operation = self._world.ledger.load(OPERATION, operation_id)
        assert operation is not None
        return operation

    def _check_backup(self, backup_id: UUID) -> None:
        backup = self._world.ledger.load(BACKUP, backup_id)
        assert backup is not None
        objects = self._world.objects.objects.get(f"{backup.project_id}/{backup_id}", set())
        if backup.occupants:
            raise Violation(f"backup {backup_id} is still occupied")
        if backup.status is BackupStatus.COMPLETED and "manifest" not in objects:
            raise Violation(f"backup {backup_id} is completed and has no manifest")
        if backup.status is BackupStatus.DELETED and objects:
            raise Violation(f"backup {backup_id} is deleted and has objects")
        if backup.status is BackupStatus.FAILED and objects and not backup.is_unsettled:
            raise Violation(f"backup {backup_id} failed cleanly and has objects")
        if backup.status not in (BackupStatus.COMPLETED, BackupStatus.DELETED, BackupStatus.FAILED):
            raise Violation(f"backup {backup_id} is {backup.status} at the end")

    def _check_quota(self, project: str) -> None:
        """What is counted at the end is what is there: no more, no less. Of an instance whose create was reset, all that was
        asked for is counted, whether it came to be or not; of a volume whose growth was reset, perhaps more than it has."""
        things = [
            t
            for t in self._world.cloud.things.values()
            if self.instances[t.tag.instance_id] == project and not self._is_reset_for_good(t.tag.instance_id)
        ]
        reset = [
            self._world.instance(i)
            for i, owner in self.instances.items()
            if owner == project and self._is_reset_for_good(i)
        ]
        volumes = sum(getattr(t.recipe, "size_gib", 0) for t in things) + sum(
            i.volume_size_gib for i in reset
        )
        servers = sum(1 for t in things if t.recipe.kind is Kind.SERVER) + len(reset)
        backups = [self._world.ledger.load(BACKUP, backup_id) for backup_id in self.backups]
        kept = sum(
            1
            for b in backups
            if b is not None
            and b.project_id == project
            and (b.status is BackupStatus.COMPLETED or (b.status is BackupStatus.FAILED and b.is_unsettled))
        )
        wanted = {"volumes": volumes, "instances": servers, "ram": servers * 512, "backups": kept}
        counted = dict.fromkeys(wanted, 0) | self.counted(project)
        unsure = counted["volumes"] - wanted["volumes"]
        if 0 <= unsure <= self._unsure_gib(project):
            wanted["volumes"] += unsure
        if counted != wanted:
            raise Violation(f"{project} is counted {counted}, and has {wanted}")
