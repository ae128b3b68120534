"""Six ways to mistreat every operation there is. Each helper finds the operations by itself, and nothing opts out.

Each one mistreats an operation on its way forward and, where it can be undone, on its way back too, so that a wrong undo
fails each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.operations.cases import Case
from tests.operations.stage import (
    Final,
    Stage,
    break_for_good,
    break_once,
    break_removal_once,
    commands,
    is_removal,
    makes,
    mend,
    name_in_points,
    removes,
    undos,
)
from tests.simulation.requests import Requests
from tests.simulation.watch import base_name

from muniment.bus.transports.memory import Faults
from muniment.domain.operation import Blocked, Failed
from muniment.domain.refused import Refused
from muniment.operations.guest_steps import AwaitGuest
from muniment.operations.steps import Definition, Step
from muniment.operations.volume_steps import Extend

__all__ = [
    "HELPERS",
    "Mistreated",
    "cancel",
    "crash",
    "fail_for_good",
    "fail_once",
    "never_come_right",
    "repeat",
]

_TWICE = Faults(repeat=1.0)
_AROUND_EVENT = ("before_event", "after_event")
_AROUND_EFFECT = ("before_effect", "after_effect")
_SOON_S = 300.0
"""Of virtual time: in it a cancelled operation has ended, where everybody answers."""


@dataclass
class Mistreated:
    """How much a helper has run."""

    operations: int = 0
    steps: int = 0
    points: int = 0

    def __str__(self) -> str:
        return f"{self.operations} operations, {self.steps} steps, {self.points} points"


class _Kind:
    """One kind of operation, to be staged again and again."""

    def __init__(self, catalogue: Mapping[str, Definition], kind: str, case: Case) -> None:
        self._catalogue = catalogue
        self._case = case
        self.kind = kind
        stage = self.stage()
        self.steps = stage.steps()
        self.undos = undos(stage)
        self.last = next((step for step in reversed(self.steps) if not is_removal(step)), None)
        """The step whose failure undoes the most; none where nothing fails for good."""
        self.before = stage.now()
        self.forward = stage.run()
        self.back = self._broken(self.stage()).run() if self.last is not None else None

    def stage(self) -> Stage:
        """A new one, just started."""
        return Stage(self._catalogue, self._case)

    def ways(self) -> Iterator[tuple[Stage, Final]]:
        """A stage for each way that the operation can go, with what is true at its end."""
        yield self.stage(), self.forward
        if self.back is not None:
            yield self._broken(self.stage()), self.back

    def backwards(self) -> tuple[Stage, Final]:
        """A stage that goes back at its last step."""
        assert self.back is not None
        return self._broken(self.stage()), self.back

    def _broken(self, stage: Stage) -> Stage:
        assert self.last is not None
        break_for_good(stage.world, self.last)
        return stage


def _kinds(
    catalogue: Mapping[str, Definition], cases: Mapping[str, Case], mistreated: Mistreated
) -> Iterator[_Kind]:
    for kind in catalogue:
        assert kind in cases, f"there is no case for {kind}: add one to tests/operations/cases.py"
        found = _Kind(catalogue, kind, cases[kind])
        mistreated.operations += 1
        mistreated.steps += len(found.steps)
        yield found


def _expect(kind: _Kind, what: str, final: Final, expected: Final) -> None:
    assert final == expected, f"{kind.kind}, {what}: {final} instead of {expected}"


def repeat(catalogue: Mapping[str, Definition], cases: Mapping[str, Case]) -> Mistreated:
    """Every call and every message twice: it ends as if each had been made once."""
    mistreated = Mistreated()
    for kind in _kinds(catalogue, cases, mistreated):
        for stage, expected in kind.ways():
            stage.world.is_twice = True
            stage.world.network.faults = _TWICE
            _expect(kind, "everything twice", stage.run(), expected)
            mistreated.points += len(kind.steps)
    return mistreated


def crash(catalogue: Mapping[str, Definition], cases: Mapping[str, Case]) -> Mistreated:
    """A process dies before the effect, after the effect, before its event is saved, after it is: nothing is different."""
    mistreated = Mistreated()
    for kind in _kinds(catalogue, cases, mistreated):
        for point in _forward_points(kind):
            _crash_at(kind, point, kind.stage(), kind.forward, mistreated)
        if kind.back is not None:
            for point in _undo_points(kind):
                _crash_at(kind, point, *kind.backwards(), mistreated)
    return mistreated


def _crash_at(
    kind: _Kind, point: tuple[str, str], stage: Stage, expected: Final, mistreated: Mistreated
) -> None:
    stage.world.crash_at = {point}
    _expect(kind, f"crash {point[1]} of {point[0]}", stage.run(), expected)
    assert stage.world.crashed[point] == 1, f"{kind.kind} never passes {point}"
    mistreated.points += 1


def _forward_points(kind: _Kind) -> Iterator[tuple[str, str]]:
    for step in {name_in_points(step): step for step in kind.steps}.values():
        around = _AROUND_EVENT if isinstance(step.kind, AwaitGuest) else (*_AROUND_EVENT, *_AROUND_EFFECT)
        yield from ((name_in_points(step), point) for point in around)


def _undo_points(kind: _Kind) -> Iterator[tuple[str, str]]:
    for name, undo in kind.undos:
        yield from ((f"undo_{base_name(name)}", point) for point in _AROUND_EVENT)
        resource = removes(undo)
        call = f"remove_{resource}" if resource is not None else "remove_objects"
        yield from ((call, point) for point in _AROUND_EFFECT)


def fail_for_good(catalogue: Mapping[str, Definition], cases: Mapping[str, Case]) -> Mistreated:
    """Each step fails for good, known: what was attempted is undone, nothing is left or counted. A removal says that it is
    blocked, and goes on once it can."""
    mistreated = Mistreated()
    for kind in _kinds(catalogue, cases, mistreated):
        for step in kind.steps:
            stage = kind.stage()
            break_for_good(stage.world, step)
            if is_removal(step):
                stage.run_until_event(lambda event: isinstance(event, Blocked))
                mend(stage.world)
                _expect(kind, f"{step.name} was blocked", stage.run(), kind.forward)
            else:
                _expect_undone(kind, step, stage.run())
            mistreated.points += 1
    return mistreated


def never_come_right(catalogue: Mapping[str, Definition], cases: Mapping[str, Case]) -> Mistreated:
    """What a step makes comes to be and never gets healthy; what it asks a guest has its effect and is never answered. What
    the engine cannot know it does not undo, and it says so."""
    mistreated = Mistreated()
    for kind in _kinds(catalogue, cases, mistreated):
        for step in kind.steps:
            stage = kind.stage()
            if (made := makes(step)) is not None:
                stage.world.cloud.errors_always.add(made)
                _expect_undone(kind, step, stage.run())
            elif commands(step) is not None:
                stage.world.on_reach = _silence_at(stage, name_in_points(step))
                final = stage.run()
                assert final.outcome in ("failed", "failed_unknown"), (
                    f"{kind.kind}, {step.name}: {final.outcome}"
                )
                assert final.things == kind.before.things, f"{kind.kind}, {step.name}: {final.things}"
            else:
                continue
            mistreated.points += 1
    return mistreated


def _silence_at(stage: Stage, step: str) -> Callable[[str, str], None]:
    """From the moment at which the guest has done its part, it is not heard of any more."""

    def reached(name: str, point: str) -> None:
        if (name, point) == (step, "after_effect"):
            stage.world.agents_are_dumb = True

    return reached


def fail_once(catalogue: Mapping[str, Definition], cases: Mapping[str, Case]) -> Mistreated:
    """Each step, and each undo, fails once: it ends as if nothing had happened."""
    mistreated = Mistreated()
    for kind in _kinds(catalogue, cases, mistreated):
        for step in kind.steps:
            stage = kind.stage()
            if break_once(stage.world, step):
                _expect(kind, f"{step.name} fails once", stage.run(), kind.forward)
                mistreated.points += 1
        if kind.back is not None:
            for name, undo in kind.undos:
                stage, expected = kind.backwards()
                break_removal_once(stage.world, undo)
                _expect(kind, f"the undo of {name} fails once", stage.run(), expected)
                mistreated.points += 1
    return mistreated


def cancel(catalogue: Mapping[str, Definition], cases: Mapping[str, Case]) -> Mistreated:
    """Cancelled before the effect of each step, after it, and in the back-off before its next try: it ends within minutes,
    as if it had failed for good. What cannot be cancelled says so, and goes on."""
    mistreated = Mistreated()
    for kind in _kinds(catalogue, cases, mistreated):
        if not catalogue[kind.kind].is_cancellable:
            _expect(kind, "refuses to be cancelled", _refused(kind).run(), kind.forward)
            mistreated.points += 1
            continue
        # The first of each group: that one comes by first.
        for step in {name_in_points(step): step for step in reversed(kind.steps)}.values():
            for point in ("after_event",) if isinstance(step.kind, AwaitGuest) else _AROUND_EFFECT:
                _cancel_at(kind, step, point)
                mistreated.points += 1
            stage = kind.stage()
            if break_once(stage.world, step):
                stage.run_until_event(lambda event: isinstance(event, Failed))
                Requests(stage.world).cancel(stage.operation_id)
                _expect_undone(kind, step, stage.run(_SOON_S))
                mistreated.points += 1
    return mistreated


def _refused(kind: _Kind) -> Stage:
    """A stage whose operation was asked to stop, and refused."""
    stage = kind.stage()
    try:
        Requests(stage.world).cancel(stage.operation_id)
    except Refused:
        return stage
    raise AssertionError(f"{kind.kind} says that it can be cancelled")


def _cancel_at(kind: _Kind, step: Step, point: str) -> None:
    stage = kind.stage()
    stage.run_until_reached(name_in_points(step), point, Requests(stage.world).cancel)
    final = stage.run(_SOON_S)
    if step is kind.steps[-1] and final.outcome == "succeeded":
        _expect(
            kind, f"cancelled {point} of {step.name}", final, kind.forward
        )  # it was heard after the last effect
    else:
        _expect_undone(kind, step, final)


def _expect_undone(kind: _Kind, step: Step, final: Final) -> None:
    """It failed, and there is and counts what was there and counted before; with a volume that was extended on the way, that
    counts, since it does not shrink. That it exists is checked at every end."""
    assert final.outcome == "failed", f"{kind.kind}, {step.name}: {final.outcome}"
    assert final.things == kind.before.things, f"{kind.kind}, {step.name} leaves {final.things}"
    counted = {kind.before.counted}
    if any(isinstance(before.kind, Extend) for before in kind.steps):
        counted.add(kind.forward.counted)
    assert final.counted in counted, f"{kind.kind}, {step.name} leaves {final.counted}"


HELPERS = (repeat, crash, fail_for_good, never_come_right, fail_once, cancel)
