"""What an operation is made of: steps with what they come after, a deadline, an undo or the reason for none; and how the
definition of an operation becomes the list of steps of one operation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from muniment.domain.event import Event
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.calls import Observation
from muniment.operations.plan import Plan
from muniment.operations.scene import Scene
from muniment.store.state import SignalRow
from muniment.store.writes import Write

__all__ = [
    "NONE",
    "Definition",
    "Each",
    "Ending",
    "Endings",
    "Failure",
    "Kind",
    "Step",
    "Undo",
    "always",
    "nothing",
]


class Kind(Protocol):
    """What a step does: how it begins, waits and concludes. One kind serves many steps."""

    @property
    def is_command(self) -> bool:
        """Whether it asks a guest for something, whose effect must be known before the operation turns round."""
        ...

    def begin(self, plan: Plan, step: "Step") -> None:
        """The step is ready: record the intent and ask for what it takes."""
        ...

    def poll(self, plan: Plan, step: "Step") -> None:
        """The step is pending and nothing was heard of it in this turn: look again, or say when to."""
        ...

    def conclude(self, plan: Plan, step: "Step", observation: Observation) -> None:
        """What came of the call that the last plan asked for."""
        ...

    def hear(self, plan: Plan, step: "Step", signal: SignalRow) -> None:
        """An answer to the step's command."""
        ...

    def cancel(self, plan: Plan, step: "Step") -> None:
        """The operation was cancelled while the step is pending."""
        ...


class Undo(Protocol):
    """How what a step may have done is taken back. It works from the subjects, not from the step's result."""

    def poll(self, plan: Plan, step: "Step") -> None:
        """Begun, and nothing was heard in this turn: look again, or say when to."""
        ...

    def conclude(self, plan: Plan, step: "Step", observation: Observation) -> None:
        """What came of the call that the last plan asked for."""
        ...


@dataclass(frozen=True)
class NONE:
    """There is nothing to undo, or no way to; the reason is for readers."""

    reason: str


def always(scene: Scene) -> bool:
    """For steps that every operation of their kind has."""
    return True


@dataclass(frozen=True)
class Step:
    """One effect, under a name that is a verb."""

    name: str
    kind: Kind
    undo: Undo | NONE
    complaint: str
    """What its owner reads when it failed for good: "the volume could not be made"."""
    deadline_s: float | None = None
    """How long one try may take; none for removals, which never give up."""
    after: tuple[str, ...] = ()
    """Steps, or groups of them, that must have succeeded before."""
    tries: int = 3
    only_if: Callable[[Scene], bool] = always
    """Whether an operation has this step; decided once, at its start, from what cannot change."""

    def place(self, scene: Scene) -> Iterator["Step"]:
        """The steps of one operation that come of it."""
        if self.only_if(scene):
            yield self


@dataclass(frozen=True)
class Each:
    """A group of like steps, one for each item, in turn: `create_user_1`, `create_user_2`, …"""

    name: str
    items: Callable[[Scene], Sequence[Any]]
    """From what cannot change once the operation has started."""
    step: Callable[[Any], Step]
    """The step for one item; its name, and what it comes after, are set here."""
    after: tuple[str, ...] = ()

    def place(self, scene: Scene) -> Iterator[Step]:
        """The steps of one operation that come of it."""
        for number, item in enumerate(self.items(scene), start=1):
            yield replace(self.step(item), name=f"{self.name}_{number}", after=self.after)


@dataclass(frozen=True)
class Failure:
    """How an operation failed."""

    message: str
    """For its owner."""
    details: str
    """For administrators."""
    is_unknown: bool
    """Whether an effect may still come."""


@dataclass(frozen=True)
class Ending:
    """What an end puts into the subjects' streams and the state tables, beside what every end does."""

    events: Sequence[Event] = ()
    writes: Sequence[Write] = ()


def nothing(scene: Scene) -> Ending:
    """For ends that say nothing more."""
    return Ending()


@dataclass(frozen=True)
class Endings:
    """What the ends of a kind of operation mean for its subjects. Every end releases the subjects by itself."""

    succeeded: Callable[[Scene], Ending]
    failed: Callable[[Scene, Failure], Ending]
    taken_over: Callable[[Scene], Ending] = nothing
    """By a delete or a reset of the instance: what is true of the *other* subjects then. Reservations stay."""


@dataclass(frozen=True)
class Definition:
    """A kind of operation, as data. A stored history must keep meaning the same steps, so changes make a new version."""

    kind: str
    """With its version: `create_instance.1`."""
    wants: str
    """In a sentence for its owner: "create the instance"."""
    occupies: Mapping[SubjectKind, Hold]
    steps: Sequence[Step | Each]
    ends: Endings
    optional: frozenset[SubjectKind] = field(default_factory=frozenset)
    """Subjects that not every operation of this kind has."""
    is_cancellable: bool = True
    """A deletion is not: there is nothing to go back to."""

    def place(self, scene: Scene) -> tuple[Step, ...]:
        """The steps of one operation, with `after` naming steps that it has."""
        groups = {part.name: tuple(part.place(scene)) for part in self.steps}
        placed: list[Step] = []
        for part in self.steps:
            after = self._resolved(part.after, groups)
            for step in groups[part.name]:
                # Members of a group come one after the other: a guest has one command at a time anyway.
                placed.append(replace(step, after=after))
                after = (step.name,) if isinstance(part, Each) else after
        return tuple(placed)

    def _resolved(self, after: tuple[str, ...], groups: Mapping[str, tuple[Step, ...]]) -> tuple[str, ...]:
        """Names of groups become those of their last members; what this operation does not have, what that came after."""
        names: list[str] = []
        for name in after:
            if groups[name]:
                names.append(groups[name][-1].name)
            else:
                part = next(p for p in self.steps if p.name == name)
                names.extend(self._resolved(part.after, groups))
        return tuple(dict.fromkeys(names))
