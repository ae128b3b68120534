"""A stage: one operation in a world where nothing goes wrong but what a helper wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from uuid import UUID

from tests.operations.cases import Case
from tests.simulation.chance import Chance
from tests.simulation.watch import base_name
from tests.simulation.world import World

from muniment.cloud.recipes import Kind
from muniment.contract.ops import Op
from muniment.domain.event import Event
from muniment.domain.operation import Operation, StepEvent
from muniment.operations.catalogue import CATALOGUE
from muniment.operations.cloud_steps import KIND_OF, Ensure, Remove
from muniment.operations.guest_steps import Act, AwaitGuest, Job
from muniment.operations.object_steps import RemoveObjects
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Step, Undo
from muniment.operations.view import load_view
from muniment.operations.volume_steps import Extend

__all__ = [
    "Final",
    "Stage",
    "break_for_good",
    "break_once",
    "break_removal_once",
    "commands",
    "is_removal",
    "makes",
    "mend",
    "name_in_points",
    "placed_steps",
    "removes",
    "undos",
]

_LIMIT_S = 200_000.0
"""Of virtual time: longer than the longest deadline."""
_ON_ITS_WAY_S = 5.0
"""Of virtual time: a guest's answer to what was asked while its command ended has come by then."""


@dataclass(frozen=True)
class Final:
    """What is true at the end of an operation, in words that do not depend on ids."""

    outcome: str
    instances: tuple[str, ...]
    things: tuple[str, ...]
    engines: tuple[str, ...]
    backups: tuple[str, ...]
    counted: tuple[tuple[str, int], ...]


class Stage:
    """One run of one operation."""

    def __init__(self, catalogue: Mapping[str, Definition], case: Case, seed: int = 1) -> None:
        """Bring the world to the moment at which the operation was just started."""
        self.world = World(
            Chance(Random(seed)), catalogue={**CATALOGUE, **catalogue}, task_managers=1, couriers=1
        )
        self.operation_id: UUID = case(self.world)

    @property
    def operation(self) -> Operation:
        """As it is now."""
        return self.world.watch.operation(self.operation_id)

    def steps(self) -> tuple[Step, ...]:
        """The steps it has."""
        return placed_steps(self.world, self.operation_id)

    def run(self, within_s: float = _LIMIT_S) -> Final:
        """Let it come to its end, check what must always hold, and say what is true then."""
        world = self.world
        assert world.run_until(
            world.now_s() + within_s, is_done=lambda: self.operation_id in world.watch.ended
        ), f"{self.operation.kind} does not end within {within_s:.0f} s: {self.events()[-3:]}"
        world.run_until(world.now_s() + _ON_ITS_WAY_S)
        world.cloud.settle()
        world.watch.check_end()
        return self.now()

    def run_until_event(self, wanted: Callable[[Event], bool]) -> None:
        """Let it go on until an event of it is wanted."""

        def is_there() -> bool:
            return any(wanted(event) for event in self.world.ledger.history(self.operation_id))

        assert self.world.run_until(self.world.now_s() + _LIMIT_S, is_done=is_there), "that never happens"

    def run_until_reached(self, step: str, point: str, act: Callable[[UUID], None]) -> None:
        """Let it go on until that point of that step, and there, once, do something with the operation."""
        done: list[UUID] = []

        def reached(*at: str) -> None:
            if at == (step, point) and not done:
                done.append(self.operation_id)
                act(self.operation_id)

        self.world.on_reach = reached
        assert self.world.run_until(self.world.now_s() + _LIMIT_S, is_done=lambda: bool(done)), (
            f"{step} never comes to {point}"
        )

    def events(self) -> list[str]:
        """The operation's history, in short."""
        history = self.world.ledger.history(self.operation_id)
        return [f"{type(e).__name__} {e.step if isinstance(e, StepEvent) else ''}".strip() for e in history]

    def now(self) -> Final:
        """What is true now. What the operation itself has reserved counts only once it has ended."""
        world, watch = self.world, self.world.watch
        instances = [world.instance(instance_id) for instance_id in watch.instances]
        servers = [world.server_of(instance_id) for instance_id in watch.instances]
        backups = [world.backup(backup_id) for backup_id in sorted(watch.backups)]
        return Final(
            outcome=str(watch.ended.get(self.operation_id, "")),
            instances=tuple(sorted(i.lifecycle for i in instances)),
            things=tuple(sorted(thing.recipe.kind for thing in world.cloud.things.values())),
            engines=tuple(
                sorted(
                    f"{sorted(s.data.databases)} {sorted(s.data.users)} {s.data.is_started} {s.data.has_superuser}"
                    for s in servers
                    if s is not None
                )
            ),
            backups=tuple(sorted(backup.status for backup in backups)),
            counted=tuple(sorted(self._counted().items())),
        )

    def _counted(self) -> dict[str, int]:
        counted = self.world.watch.counted("project-1")
        with self.world.ledger.reading() as reader:
            own = reader.reservation(self.operation_id)
        for resource, (delta, state) in own.items():
            if state == "reserved":
                counted[resource] -= delta
        return {resource: count for resource, count in counted.items() if count}


def placed_steps(world: World, operation_id: UUID) -> tuple[Step, ...]:
    """The steps of an operation, as its definition places them."""
    with world.ledger.reading() as reader:
        view = load_view(reader, operation_id)
    scene = Scene(
        operation_id=operation_id,
        arguments=view.operation.arguments,
        knowledge=world.knowledge,
        now_s=world.now_s(),
        found_instance=view.instance,
        found_backup=view.backup,
    )
    return world.catalogue[view.operation.kind].place(scene)


def makes(step: Step) -> Kind | None:
    """The kind of cloud resource that a step makes."""
    return KIND_OF[step.kind.role] if isinstance(step.kind, Ensure) else None


def removes(what: object) -> Kind | None:
    """The kind of cloud resource that a step or an undo removes."""
    return KIND_OF[what.role] if isinstance(what, Remove) else None


def commands(step: Step) -> Op | None:  # type: ignore[type-arg]  # the op's types do not matter here
    """The op that a step asks the guest for."""
    return step.kind.op if isinstance(step.kind, Act | Job) else None


def is_removal(step: Step) -> bool:
    """Whether a step removes something, and so never gives up."""
    return isinstance(step.kind, Remove | RemoveObjects)


def break_for_good(world: World, step: Step) -> None:
    """Whatever the step does fails from now on, known and for ever; a removal is kept from its end."""
    if (kind := makes(step)) is not None:
        world.cloud.refuses_always.add(kind)
    elif (op := commands(step)) is not None:
        world.refusals.always.add(op.name)
    elif isinstance(step.kind, Extend):
        world.cloud.extends_never = True
    elif isinstance(step.kind, AwaitGuest):
        world.agents_are_mute = True
    else:
        break_removal(world, step.kind)


def break_removal(world: World, what: object) -> None:
    """A removal is kept from its end from now on."""
    if (kind := removes(what)) is not None:
        world.cloud.keeps_always.add(kind)
    else:
        assert isinstance(what, RemoveObjects), what
        world.objects.keeps_always = True


def break_once(world: World, step: Step) -> bool:
    """The step fails the next time; False for one that has nothing to fail with."""
    if (kind := makes(step)) is not None:
        world.cloud.refuses_once.add(kind)
    elif (op := commands(step)) is not None:
        world.refusals.once.add(op.name)
    elif isinstance(step.kind, Extend):
        world.cloud.extends_not_once = True
    elif is_removal(step):
        break_removal_once(world, step.kind)
    else:
        return False
    return True


def break_removal_once(world: World, what: object) -> None:
    """A removal does not come to its end the next time."""
    if (kind := removes(what)) is not None:
        world.cloud.keeps_once.add(kind)
    else:
        assert isinstance(what, RemoveObjects), what
        world.objects.keeps_once = True


def mend(world: World) -> None:
    """Nothing is broken any more."""
    world.cloud.keeps_always.clear()
    world.objects.keeps_always = False


def undos(stage: Stage) -> list[tuple[str, Undo]]:
    """The undos of an operation's steps."""
    return [(step.name, step.undo) for step in stage.steps() if not isinstance(step.undo, NONE)]


def name_in_points(step: Step) -> str:
    """How the simulation calls a step at its crash points."""
    return base_name(step.name)
