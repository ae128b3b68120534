"""A tenant who asks for things at random moments, and bad weather."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from tests.simulation.requests import Requests

from muniment.domain.backup import BackupStatus
from muniment.domain.operation import End
from muniment.domain.refused import Refused
from muniment.store.conflict import Conflict

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Diligent", "Tenant", "Weather"]


class Tenant:
    """An actor: the API's client. It never dies; what is refused, it forgets."""

    name = "tenant"

    def __init__(self, world: World, *, until_s: float) -> None:
        """Ask for something every now and then until `until_s`."""
        self._world = world
        self._until_s = until_s
        self._next_s = world.now_s()
        self._requests = Requests(world)
        self.refused = 0

    def ready_at(self) -> float | None:
        """When the next idea comes."""
        return self._next_s if self._next_s < self._until_s else None

    def run(self) -> None:
        """Ask for one thing."""
        self._next_s = self._world.now_s() + self._world.chance.random.expovariate(1 / 60)
        wishes = [self._create] * 4 + [self._restart] * 3 + [self._back_up] * 4
        wishes += [self._restore] * 2 + [self._delete_backup] * 2 + [self._delete] * 2 + [self._cancel] * 2
        wishes += [self._reset, self._resize]
        try:
            self._world.chance.random.choice(wishes)()
        except (Refused, Conflict):
            self.refused += 1

    def _create(self) -> None:
        random = self._world.chance.random
        self._requests.create(
            databases=random.randint(0, 2), users=random.randint(0, 2), size_gib=random.randint(1, 5)
        )

    def _restart(self) -> None:
        self._requests.restart(self._world.instance(self._any_instance()))

    def _resize(self) -> None:
        instance = self._world.instance(self._any_instance())
        self._requests.resize(instance, instance.volume_size_gib + self._world.chance.random.randint(1, 3))

    def _back_up(self) -> None:
        self._requests.back_up(self._world.instance(self._any_instance()))

    def _restore(self) -> None:
        completed = [b for b in self._backups() if b.status is BackupStatus.COMPLETED]
        self._requests.create(size_gib=5, backup=self._any(completed))

    def _delete_backup(self) -> None:
        done = [b for b in self._backups() if b.status in (BackupStatus.COMPLETED, BackupStatus.FAILED)]
        self._requests.delete_backup(self._any(done))

    def _delete(self) -> None:
        self._requests.delete(self._any_instance())

    def _reset(self) -> None:
        self._requests.reset(self._any_instance())

    def _cancel(self) -> None:
        watch = self._world.watch
        running = [o for o in watch.operations if o not in watch.ended]
        own = [o for o in running if watch.operation(o).project_id == self._requests.project]
        self._requests.cancel(self._any(own))

    def _backups(self):  # type: ignore[no-untyped-def]
        backups = [self._world.backup(backup_id) for backup_id in sorted(self._world.watch.backups)]
        return [backup for backup in backups if backup.project_id == self._requests.project]

    def _any_instance(self):  # type: ignore[no-untyped-def]
        instances = self._world.watch.instances
        return self._any([i for i, project in instances.items() if project == self._requests.project])

    def _any(self, things):  # type: ignore[no-untyped-def]
        if not things:
            raise Refused("nothing-there", "there is nothing yet to ask about")
        return self._world.chance.random.choice(things)


class Diligent:
    """An actor: another tenant, who walks through everything once, so that every run has every step in it: create, back up,
    restore, restart, delete the backup, delete the instance. What fails is asked for again."""

    name = "diligent tenant"

    def __init__(self, world: World, *, until_s: float) -> None:
        """Walk until `until_s`."""
        self._world = world
        self._until_s = until_s
        self._next_s = world.now_s()
        self._requests = Requests(world, "project-2")
        self._operation: UUID | None = None
        self._instance: UUID | None = None
        self._backup: UUID | None = None
        self._walk = [self._create, self._back_up, self._restore, self._restart, self._resize]
        self._walk += [self._delete_backup, self._delete]

    def ready_at(self) -> float | None:
        """Every few seconds, while there is something to do."""
        return self._next_s if self._walk and self._next_s < self._until_s else None

    def run(self) -> None:
        """Look how the last wish went, and say the next."""
        self._next_s = self._world.now_s() + 15
        if self._operation is not None:
            outcome = self._world.watch.ended.get(self._operation)
            if outcome is None:
                return
            self._operation = None
            if outcome is End.SUCCEEDED:
                self._walk.pop(0)
        if self._walk:
            with suppress(Refused, Conflict):
                self._operation = self._walk[0]()

    def _create(self) -> UUID:
        beginning = self._requests.create(databases=1, users=1)
        self._instance = beginning.events[0].originator_id
        return beginning.operation_id

    def _back_up(self) -> UUID:
        assert self._instance is not None
        beginning = self._requests.back_up(self._world.instance(self._instance))
        self._backup = beginning.events[0].originator_id
        return beginning.operation_id

    def _restore(self) -> UUID:
        assert self._backup is not None
        return self._requests.create(backup=self._world.backup(self._backup)).operation_id

    def _restart(self) -> UUID:
        assert self._instance is not None
        return self._requests.restart(self._world.instance(self._instance)).operation_id

    def _resize(self) -> UUID:
        assert self._instance is not None
        instance = self._world.instance(self._instance)
        return self._requests.resize(instance, instance.volume_size_gib + 1).operation_id

    def _delete_backup(self) -> UUID:
        assert self._backup is not None
        return self._requests.delete_backup(self._world.backup(self._backup)).operation_id

    def _delete(self) -> UUID | None:
        assert self._instance is not None
        return self._requests.delete(self._instance).operation_id


class Weather:
    """An actor: guests fall out of reach for some minutes."""

    name = "weather"

    def __init__(self, world: World, *, until_s: float) -> None:
        """Blow until then."""
        self._world = world
        self._until_s = until_s
        self._next_s = world.now_s()

    def ready_at(self) -> float | None:
        """Every minute."""
        return self._next_s if self._next_s < self._until_s else None

    def run(self) -> None:
        """Cut one off, or bring all back."""
        world = self._world
        self._next_s = world.now_s() + world.chance.random.uniform(10, 120)
        for instance_id in list(world.network._cut):
            world.network.heal(instance_id)
        for instance_id in world.watch.instances:
            if world.chance.happens("cut"):
                world.network.cut(instance_id)
