"""The whole control plane with its guests in one thread: production code, a virtual clock, and one source of randomness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from tests.simulation.chance import NETWORK_FAULTS, Chance, Crash
from tests.simulation.cloud import SimulatedCloud, SimulatedObjects, Thing
from tests.simulation.control_driver import SimulatedControl
from tests.simulation.engine import Refusals
from tests.simulation.processes import Courier, SimulatedTaskManager
from tests.simulation.server import SimulatedServer
from tests.simulation.watch import Watch

from muniment.bus.transport import LetterKind
from muniment.bus.transports.memory import Faults, MemoryNetwork
from muniment.clock import ManualClock, seconds
from muniment.domain.backup import BACKUP, Backup
from muniment.domain.event import About, Event
from muniment.domain.instance import INSTANCE, Instance, InstanceRenamed, Lifecycle
from muniment.operations.backup_keys import BackupKeys
from muniment.operations.catalogue import CATALOGUE
from muniment.operations.scene import Knowledge
from muniment.operations.start import Starter
from muniment.operations.steps import Definition
from muniment.operations.takeover import TakeOver
from muniment.operations.timing import Timing
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment.store.transaction import Row, Transaction

__all__ = ["Actor", "World"]

_QUIET_S = 100_000.0
_STALL_S_MAX = 200.0
_NESTED_MAX = 3
"""How deep stalls may lie within each other; deeper ones are skipped."""


class Actor(Protocol):
    """Something that acts when its time has come."""

    name: str

    def ready_at(self) -> float | None:
        """When it wants to act next, in seconds since 1970; None: not by itself."""
        ...

    def run(self) -> None:
        """Act once."""
        ...


class World:
    """Everything of one run. Whoever has the earliest wish acts next; among equals, chance decides."""

    def __init__(
        self,
        chance: Chance,
        *,
        catalogue: Mapping[str, Definition] = CATALOGUE,
        timing: Timing | None = None,
        task_managers: int = 2,
        couriers: int = 2,
    ) -> None:
        """Begin with an empty cloud and an empty store."""
        self.chance = chance
        self.clock = ManualClock()
        self.catalogue = catalogue
        self.vault = Vault(
            KeyEncryptionKeys.generate(chance.random.randbytes), random=chance.random.randbytes
        )
        self.cipher = PersonalCipher(self.vault, random=chance.random.randbytes)
        self.recorder = open_memory()
        self.ledger = Ledger(self.recorder, clock=self.clock, cipher=self.cipher, new_id=self.new_id)
        """Without faults: for who looks on."""
        self.network = MemoryNetwork(self.clock, chance.random, _network_faults(chance))
        self.cloud = SimulatedCloud(chance, self.now_s, self.new_id, self.pass_time)
        self.objects = SimulatedObjects(chance)
        self.refusals = Refusals(chance)
        self.agents_are_mute = False
        """No agent does anything while this is so."""
        self.agents_are_dumb = False
        """No agent says anything while this is so; it acts all the same."""
        self.on_reach: Callable[[str, str], None] = lambda step, point: None
        self.is_twice = False
        """Every call to the cloud is made twice."""
        self.cloud.on_server = self._boot
        self.cloud.on_server_gone = self._power_off
        control = SimulatedControl()
        self.knowledge = Knowledge(lambda datastore: control, self.objects, timing or Timing())
        self.starter = Starter(self.vault, self.knowledge)
        self.take_over = TakeOver(self.ledger, self.starter, self.knowledge, self.clock)
        self.backup_keys = BackupKeys(self.cipher, random=chance.random.randbytes)
        self.watch = Watch(self)
        self.objects.on_purge = self.watch.purges
        self.cloud.on_create = self.watch.creates
        self.cloud.on_found = lambda: self.stall("stall_after_find")
        self.reached: Counter[tuple[str, str]] = Counter()
        """How often each point of each step was passed."""
        self.crashed: Counter[tuple[str, str]] = Counter()
        """How often a process died there."""
        self.crash_at: set[tuple[str, str]] = set()
        """Where the next process to come by dies, once."""
        self.actors: list[Actor] = [SimulatedTaskManager(self, n + 1) for n in range(task_managers)]
        self.actors += [Courier(self, n + 1) for n in range(couriers)]
        self._busy: set[int] = set()
        self._next_task: tuple[int, float | None] = (-1, None)

    # -- time ----------------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """The present, in seconds since 1970."""
        return seconds(self.clock.now())

    def run_until(self, limit_s: float, is_done: Callable[[], bool] = lambda: False) -> bool:
        """Let actors act until then, or until `is_done`; whether it was done."""
        while not is_done():
            ready = [
                (at_s, actor)
                for actor in self.actors
                if id(actor) not in self._busy and (at_s := actor.ready_at()) is not None
            ]
            wishes = [at_s for at_s, _ in ready]
            late_s = self.cloud.next_due_s()
            next_s = min([*wishes, *([late_s] if late_s is not None else [])], default=limit_s + 1)
            if next_s > limit_s:
                self._advance_to(limit_s)
                return False
            self._advance_to(next_s)
            self.cloud.settle()
            now_s = self.now_s()
            if able := [actor for at_s, actor in ready if at_s <= now_s]:
                self._act(self.chance.random.choice(able))
        return True

    def pass_time(self, by_s: float) -> None:
        """Somebody is slow: the others go on meanwhile."""
        if len(self._busy) > _NESTED_MAX:
            return
        self.run_until(self.now_s() + by_s)

    def stall(self, fault: str) -> None:
        """Whoever acts may be stopped for a while, as processes are."""
        if self.chance.happens(fault):
            self.pass_time(self.chance.random.uniform(1, _STALL_S_MAX))

    def _advance_to(self, at_s: float) -> None:
        # Rounded up to the clock's microsecond, or an actor would be a moment too early for ever.
        ahead_s = at_s - self.now_s()
        if ahead_s > 0:
            self.clock.advance(ahead_s + 1e-6)

    def _act(self, actor: Actor) -> None:
        self._busy.add(id(actor))
        try:
            actor.run()
        finally:
            self._busy.discard(id(actor))

    # -- what actors ask -----------------------------------------------------------------------------------------------

    def new_id(self) -> UUID:
        """An id, from the one source of randomness."""
        return UUID(bytes=self.chance.random.randbytes(16), version=4)

    def reach(self, step: str, point: str) -> None:
        """A process passes a point of a step, and may die there."""
        self.reached[step, point] += 1
        self.on_reach(step, point)
        if (step, point) in self.crash_at:
            self.crash_at.discard((step, point))
            self.crashed[step, point] += 1
            raise Crash

    @property
    def commits(self) -> int:
        """How often something was saved."""
        return self.recorder.wakeup.commits

    def next_task_s(self) -> float | None:
        """When an operation is due and free."""
        if self._next_task[0] != self.commits:
            with self.ledger.reading() as reader:
                due_s = min((max(row.due_s, row.lease_until_s) for row in reader.queue()), default=None)
            self._next_task = (self.commits, due_s)
        return self._next_task[1]

    def claimed(self) -> None:
        """A claim was taken, which no commit tells."""
        self._next_task = (-1, None)

    def letters_due_s(self) -> float | None:
        """When the next letter for the control plane is there."""
        if self.network.control._held:
            return self.now_s()
        due = [self.network._up[kind].next_due_s() for kind in LetterKind]
        return min((at_s for at_s in due if at_s is not None), default=None)

    def network_due_s(self, instance_id: UUID) -> float | None:
        """When the next letter for a guest is there."""
        if instance_id in self.network._cut:
            return None
        return self.network._down[instance_id].next_due_s()

    def change_a_subject(self, events: Sequence[Event]) -> None:
        """Somebody else writes to an instance's stream, between the read and the save of these events."""
        for instance_id in dict.fromkeys(e.originator_id for e in events):
            if instance_id in self.watch.instances:
                self.rename(instance_id)

    def rename(self, instance_id: UUID) -> None:
        """A tenant renames the instance."""
        instance = self.ledger.load(INSTANCE, instance_id)
        if instance is None or instance.lifecycle is Lifecycle.DELETED:
            return
        renamed = InstanceRenamed(
            originator_id=instance_id, originator_version=instance.version + 1, name=f"name {self.new_id()}"
        )
        self.ledger.save([renamed], About(project_id=instance.project_id, actor="user:1"))

    def rows(self, statement: str) -> Sequence[Row]:
        """Ask the state tables directly."""
        with self.recorder.reading() as cursor:
            return Transaction(cursor, now_s=0).rows(statement)

    def instance(self, instance_id: UUID) -> Instance:
        """An instance as it is."""
        instance = self.ledger.load(INSTANCE, instance_id)
        assert instance is not None
        return instance

    def backup(self, backup_id: UUID) -> Backup:
        """A backup as it is."""
        backup = self.ledger.load(BACKUP, backup_id)
        assert backup is not None
        return backup

    def quietly(self, ask: Callable[[], object]) -> None:
        """Ask for something, let it come to its end, and forget what was passed on the way."""
        ask()
        is_done = self.run_until(self.now_s() + _QUIET_S, is_done=lambda: self.next_task_s() is None)
        assert is_done, "it never ends"
        self.reached.clear()

    def server_of(self, instance_id: UUID) -> SimulatedServer | None:
        """The server that runs for an instance."""
        return next(
            (
                a
                for a in self.actors
                if isinstance(a, SimulatedServer) and a.instance_id == instance_id and not a.is_gone
            ),
            None,
        )

    def calm(self) -> None:
        """From here on nothing goes wrong any more."""
        self.chance.calm()
        self.network.faults = Faults()
        self.crash_at.clear()
        for instance_id in list(self.network._cut):
            self.network.heal(instance_id)

    # -- servers -------------------------------------------------------------------------------------------------------

    def _boot(self, thing: Thing) -> None:
        delay_s = self.chance.random.uniform(1, 20)
        self.actors.append(SimulatedServer(self, thing, boots_at_s=self.now_s() + delay_s))

    def _power_off(self, thing: Thing) -> None:
        for actor in list(self.actors):
            if isinstance(actor, SimulatedServer) and actor.thing is thing:
                actor.is_gone = True
                self.actors.remove(actor)


def _network_faults(chance: Chance) -> Faults:
    rates = {fault: chance.rates.get(fault, 0.0) for fault in NETWORK_FAULTS}
    return Faults(**rates, delay_s_max=200.0)
