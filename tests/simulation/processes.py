"""Processes of the control plane that may die: each has a view of the store of its own, on which everything goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from tests.simulation.chance import Crash
from tests.simulation.watch import Bug, Violation, base_name

from muniment.cloud.cloud import Cloud, ObjectStore
from muniment.dispatch.conductor import Conductor
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.mail import CarriedMail
from muniment.dispatch.relay import Relay
from muniment.domain.event import About, Event
from muniment.domain.operation import StepEvent, UndoIntended, Undone
from muniment.fault import Fault
from muniment.operations.calls import (
    Call,
    Enrolment,
    ExtendVolume,
    FindOrCreate,
    Look,
    LookAtSize,
    Observation,
    Purge,
)
from muniment.operations.performing import Performer
from muniment.operations.taskmanager import TaskManager
from muniment.operations.worker import Worker
from muniment.secret import Secret
from muniment.store.conflict import ClaimLost, Conflict
from muniment.store.ledger import Claim, Ledger, Saved
from muniment.store.writes import Write

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Courier", "SimulatedTaskManager"]

_DOWN_S_MAX = 30.0


class FaultyLedger(Ledger):
    """A ledger whose database loses acknowledgements, and between whose reads and saves others write."""

    def __init__(self, world: World) -> None:
        """Share the world's database."""
        super().__init__(world.recorder, clock=world.clock, cipher=world.cipher, new_id=world.new_id)
        self._world = world

    def save(
        self,
        events: Sequence[Event],
        about: About,
        *,
        writes: Sequence[Write] = (),
        batch: UUID | None = None,
    ) -> Saved:
        """See `Ledger.save`."""
        world, chance = self._world, self._world.chance
        steps = [_name_of(event) for event in events if isinstance(event, StepEvent)]
        for step in steps:
            world.reach(step, "before_event")
        if chance.happens("foreign_event"):
            world.change_a_subject(events)
        if chance.happens("lost_before_commit"):
            raise Fault("store", "no acknowledgement")
        saved = super().save(events, about, writes=writes, batch=batch)
        world.watch.saved(saved.events)
        for step in steps:
            world.reach(step, "after_event")
        if chance.happens("lost_after_commit"):
            raise Fault("store", "no acknowledgement")
        return saved


def _name_of(event: StepEvent) -> str:
    """The step of an event; what belongs to an undo is told apart."""
    name = base_name(event.step)
    return f"undo_{name}" if isinstance(event, UndoIntended | Undone) else name


@dataclass(frozen=True)
class FaultyPerformer(Performer):
    """Makes calls, and dies or stalls around them."""

    reach: Callable[[str, str], None]
    stall: Callable[[], None]
    is_twice: Callable[[], bool]

    def perform(self, call: Call, *, open_enrolment: Callable[[Enrolment], Secret]) -> Observation:
        """See `Performer.perform`."""
        step = step_of(call)
        self.stall()
        self.reach(step, "before_effect")
        observation = super().perform(call, open_enrolment=open_enrolment)
        if self.is_twice():
            observation = super().perform(call, open_enrolment=open_enrolment)
        self.reach(step, "after_effect")
        self.stall()
        return observation


def step_of(call: Call) -> str:
    """Which step makes such a call. An undo is named like the step of a deletion that does the same."""
    if isinstance(call, Purge):
        return "remove_objects"
    if isinstance(call, ExtendVolume | LookAtSize):
        return "extend_volume"
    verb = "ensure" if isinstance(call, FindOrCreate | Look) else "remove"
    return f"{verb}_{call.tag.role}"


class WatchedWorker(Worker):
    """The worker; what it cannot have expected ends the run instead of being tried again."""

    on_claim: Callable[[], None] = staticmethod(lambda: None)

    def drive(self, claim: Claim) -> None:
        """See `Worker.drive`."""
        self.on_claim()
        try:
            super().drive(claim)
        except (ClaimLost, Conflict, Fault, Violation):
            raise
        except Exception as error:
            raise Bug(f"{claim.kind} {claim.operation_id}: {error!r}") from error


class SimulatedTaskManager:
    """An actor: the real taskmanager and worker; new ones after each death."""

    def __init__(self, world: World, number: int) -> None:
        """Begin alive."""
        self.name = f"taskmanager {number}"
        self._world = world
        self._down_until_s = 0.0
        self._manager = self._start()

    def ready_at(self) -> float | None:
        """When an operation is due and the process lives."""
        due_s = self._world.next_task_s()
        return None if due_s is None else max(due_s, self._down_until_s)

    def run(self) -> None:
        """Drive what is due."""
        try:
            self._manager.run_once()
            self._world.claimed()
        except Crash:
            self._down_until_s = self._world.now_s() + self._world.chance.random.uniform(0, _DOWN_S_MAX)
            self._manager = self._start()
            self._world.claimed()

    def _start(self) -> TaskManager:
        world = self._world
        ledger = FaultyLedger(world)
        cloud: Cloud = world.cloud
        objects: ObjectStore = world.objects
        worker = WatchedWorker(
            ledger,
            catalogue=world.catalogue,
            knowledge=world.knowledge,
            performer=FaultyPerformer(
                cloud, objects, world.now_s, self._reach, self._stall, lambda: world.is_twice
            ),
            guest_keys=GuestKeys(world.vault),
            clock=world.clock,
            new_id=world.new_id,
            random=world.chance.random.randbytes,
        )
        worker.on_claim = world.claimed
        timing = world.knowledge.timing
        return TaskManager(ledger, worker, world.clock, owner=self.name, lease_s=timing.lease_s)

    def _reach(self, step: str, point: str) -> None:
        self._world.reach(step, point)
        if self._world.chance.happens("crash"):
            raise Crash

    def _stall(self) -> None:
        self._world.stall("stall")


class Courier:
    """An actor: a relay and a conductor, the real ones, over the memory transport."""

    def __init__(self, world: World, number: int) -> None:
        """Begin alive."""
        self.name = f"courier {number}"
        self._world = world
        self._down_until_s = 0.0
        self._commits_seen = -1
        self._start()

    def ready_at(self) -> float | None:
        """When something was saved, or a letter is there."""
        world = self._world
        if self._commits_seen != world.commits:
            return max(world.now_s(), self._down_until_s)
        due_s = world.letters_due_s()
        return None if due_s is None else max(due_s, self._down_until_s)

    def run(self) -> None:
        """Send what is in the outbox, take in what has come."""
        self._commits_seen = self._world.commits
        try:
            self._relay.run_once()
            if self._world.chance.happens("crash_courier"):
                raise Crash
            self._conductor.run_once()
        except Fault:
            self._commits_seen = -1
            self._down_until_s = self._world.now_s() + 1.0
        except Crash:
            self._down_until_s = self._world.now_s() + self._world.chance.random.uniform(0, _DOWN_S_MAX)
            self._start()

    def _start(self) -> None:
        world = self._world
        ledger = FaultyLedger(world)
        mail = CarriedMail(world.network.control)
        self._relay = Relay(ledger, world.vault, mail, world.clock)
        self._conductor = Conductor(
            ledger,
            world.vault,
            mail,
            world.clock,
            new_id=world.new_id,
            random=world.chance.random.randbytes,
        )
        self._commits_seen = -1
