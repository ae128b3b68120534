"""One run from a seed, and many; and whether the many met everything they are for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.simulation.chance import FAULTS, NETWORK_FAULTS, Chance
from tests.simulation.tenant import Diligent, Tenant, Weather
from tests.simulation.watch import Violation
from tests.simulation.world import World

from muniment.operations.create_backup import CREATE_BACKUP
from muniment.operations.create_instance import CREATE_INSTANCE
from muniment.operations.delete_backup import DELETE_BACKUP
from muniment.operations.delete_instance import DELETE_INSTANCE
from muniment.operations.resize_volume import RESIZE_VOLUME
from muniment.operations.restart_instance import RESTART_INSTANCE

__all__ = ["CRASH_POINTS", "Report", "Summary", "repeat_command", "run_seed", "run_seeds"]

_BUSY_S: Final = 1500.0
"""How long tenants ask and faults happen."""
_CRASHES: Final = 10
"""How many crash points a seed visits for certain, if it passes them at all."""
_CALM_S: Final = 40_000.0
"""How long everything may take to come to its end after that."""

_CALLING: Final = frozenset(
    {
        "ensure_volume",
        "extend_volume",
        "ensure_port",
        "ensure_server",
        "remove_server",
        "remove_port",
        "remove_volume",
        "remove_objects",
    }
)


def _points() -> tuple[tuple[str, str], ...]:
    """Every step with each of its crash points: around the effect, in the cloud's caller or the guest, and around the
    save of its events. A step without an effect has only the latter."""
    definitions = (
        CREATE_INSTANCE,
        RESTART_INSTANCE,
        RESIZE_VOLUME,
        CREATE_BACKUP,
        DELETE_BACKUP,
        DELETE_INSTANCE,
    )
    names = [step.name for definition in definitions for step in definition.steps]
    points = [(name, point) for name in names for point in ("before_event", "after_event")]
    effects = [(n, p) for n in names if n != "await_guest" for p in ("before_effect", "after_effect")]
    return tuple(points + effects)


CRASH_POINTS: Final = _points()


@dataclass
class Report:
    """What one seed did."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    crashed: Counter[tuple[str, str]] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    """By kind and outcome."""
    virtual_s: float = 0.0


@dataclass
class Summary:
    """What many seeds did."""

    reports: list[Report] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """What none of the runs has met; a simulation that misses something proves nothing about it."""
        faults = sum((report.faults for report in self.reports), Counter[str]())
        crashed = sum((report.crashed for report in self.reports), Counter[tuple[str, str]]())
        missed = [f"fault {fault}" for fault in FAULTS if not faults[fault]]
        return missed + [
            f"crash {point} of {step}" for step, point in CRASH_POINTS if not crashed[step, point]
        ]


def repeat_command(seed: int) -> str:
    """What repeats one seed."""
    return f"python -m tests.simulation --seeds 1 --start {seed}"


def run_seed(seed: int, prepare: Callable[[World], None] = lambda world: None) -> Report:
    """One run. `prepare` may break something before it begins.

    Raises:
        Violation: something happened that must not.
    """
    chance = Chance.drawn(Random(seed))
    world = World(chance)
    prepare(world)
    # Each seed has its share of the crash points to visit, so that some tens of seeds visit all of them.
    world.crash_at = {CRASH_POINTS[(seed * _CRASHES + n) % len(CRASH_POINTS)] for n in range(_CRASHES)}
    until_s = world.now_s() + _BUSY_S
    world.actors += [kind(world, until_s=until_s) for kind in (Diligent, Tenant, Weather)]
    world.run_until(until_s)
    world.calm()
    world.run_until(world.now_s() + _CALM_S, is_done=lambda: world.next_task_s() is None)
    world.watch.check_end()
    return Report(
        seed=seed,
        faults=chance.counts + Counter({f: world.network.counts[f] for f in NETWORK_FAULTS}),
        crashed=world.crashed,
        operations=Counter(
            f"{world.watch.operations[operation]} {outcome}"
            for operation, outcome in world.watch.ended.items()
        ),
        virtual_s=world.now_s(),
    )


def run_seeds(seeds: Iterable[int], prepare: Callable[[World], None] = lambda world: None) -> Summary:
    """Many runs; a failure of one does not stop the others."""
    summary = Summary()
    for seed in seeds:
        try:
            summary.reports.append(run_seed(seed, prepare))
        except Violation as violation:
            summary.failures[seed] = str(violation)
    return summary
