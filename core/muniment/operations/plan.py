"""The plan of one turn: what it decided so far, and the states as they are after that."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from muniment.clock import seconds
from muniment.domain.backup import BACKUP
from muniment.domain.event import Event
from muniment.domain.instance import INSTANCE
from muniment.domain.operation import (
    OPERATION,
    Blocked,
    Failed,
    Operation,
    OperationStep,
    Phase,
    Progress,
    StepEvent,
    Succeeded,
    Undone,
)
from muniment.operations.calls import Call
from muniment.operations.scene import Knowledge, Scene
from muniment.operations.timing import Timing
from muniment.operations.view import View
from muniment.store.state import UnansweredRow
from muniment.store.writes import Poke, Write

__all__ = ["Plan"]

S = TypeVar("S")


class Plan:
    """Collects what a turn wants: events, writes, calls, and when to come back.

    Whatever is said counts at once, so that a step that is ready because another just succeeded begins in the same turn.
    """

    def __init__(self, view: View, knowledge: Knowledge, now_s: float, waits: Mapping[str, float]) -> None:
        """Begin with what was read, the waits of the turns before, and nothing decided."""
        self.now_s = now_s
        self.operation: Operation = view.operation
        self.instance = view.instance
        self.backup = view.backup
        self.unanswered: UnansweredRow | None = view.unanswered
        self.line = view.line
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self.calls: dict[str, Call] = {}
        """By step; at most one a step and turn."""
        self.waits: dict[str, float] = {step: at_s for step, at_s in waits.items() if at_s > now_s}
        """Until when each step wants to be left alone. They live in memory, from turn to turn while one claim is driven;
        without them, two steps that both wait for the cloud would make each other ask it without a pause."""
        self._view = view
        self._knowledge = knowledge

    @property
    def timing(self) -> Timing:
        """The engine's times."""
        return self._knowledge.timing

    @property
    def scene(self) -> Scene:
        """What definitions look at, as of now."""
        return Scene(
            operation_id=self.operation.id,
            arguments=self.operation.arguments,
            knowledge=self._knowledge,
            now_s=self.now_s,
            found_instance=self.instance,
            found_backup=self.backup,
            wrapped_key=self._view.wrapped_key,
        )

    @property
    def is_unwinding(self) -> bool:
        """Whether what was attempted is being undone."""
        return self.operation.phase is Phase.UNWINDING

    @property
    def is_ended(self) -> bool:
        """Whether this plan ends the operation."""
        return self.operation.phase is Phase.ENDED

    def step(self, name: str) -> OperationStep:
        """A step as it stands now."""
        return self.operation.steps[name]

    def say(self, event: Event) -> None:
        """Decide an event. Its version is the next of its stream, whatever it names."""
        if isinstance(event, StepEvent):
            self.waits.pop(event.step, None)  # what is decided of a step ends its wait
        if event.originator_id == self.operation.id:
            event = _placed(event, self.operation.version)
            self.operation = _there(OPERATION.fold(self.operation, [event]))
        elif self.instance is not None and event.originator_id == self.instance.id:
            event = _placed(event, self.instance.version)
            self.instance = _there(INSTANCE.fold(self.instance, [event]))
        else:
            assert self.backup is not None, f"{event.originator_id} is no subject"
            assert event.originator_id == self.backup.id, f"{event.originator_id} is no subject"
            event = _placed(event, self.backup.version)
            self.backup = _there(BACKUP.fold(self.backup, [event]))
        self.events.append(event)

    def write(self, *writes: Write) -> None:
        """Change state tables in the same save."""
        self.writes.extend(writes)

    def call(self, step: str, call: Call) -> None:
        """Ask for a call after the save."""
        assert step not in self.calls, f"step {step} has a call already"
        self.calls[step] = call

    def wait(self, step: str, until_s: float) -> None:
        """Leave a step alone until then, unless something reaches the operation from outside."""
        self.waits[step] = until_s

    def is_waiting(self, step: str) -> bool:
        """Whether a step wants to be left alone now."""
        return self.waits.get(step, self.now_s) > self.now_s

    def finish(self, step: str) -> None:
        """The step's work is done: its own, or that of its undo."""
        if self.is_unwinding:
            self.say(Undone(originator_id=self.operation.id, originator_version=0, step=step))
        else:
            self.say(Succeeded(originator_id=self.operation.id, originator_version=0, step=step))

    def fail(self, step: str, error: str, *, tries: int, retryable: bool = True, message: str = "") -> None:
        """A known failure: to be tried again after a while, or, with its tries used up, for good."""
        failures = self.step(step).failures + 1
        retry_at_s: float | None = self.now_s + self.timing.backoff(failures)
        if not retryable or failures >= tries or self.operation.is_cancelled:
            retry_at_s = None
        self.say(
            Failed(
                originator_id=self.operation.id,
                originator_version=0,
                step=step,
                failures=failures,
                error=error[:2000],
                retry_at_s=retry_at_s,
                message=message[:1000],
            )
        )

    def say_blocked(self, step: str, reason: str) -> bool:
        """Say, once, that a removal takes far longer than it should; whether that was now."""
        state = self.step(step)
        began_at = state.undo_began_at if self.is_unwinding else state.began_at
        assert began_at is not None, f"{step} has not begun"
        if state.is_blocked or self.now_s - seconds(began_at) < self.timing.blocked_after_s:
            return False
        self.say(Blocked(originator_id=self.operation.id, originator_version=0, step=step, reason=reason))
        return True

    def leave_line(self) -> None:
        """No more commands will come of this operation: who comes after it looks at once whether it is its turn."""
        if self.line.following is not None:
            self.write(Poke(self.line.following))

    def with_progress(self, *progress: Progress) -> Mapping[str, OperationStep]:
        """The steps that stand so."""
        return {name: step for name, step in self.operation.steps.items() if step.progress in progress}

    def due_s(self) -> float:
        """When to come back if there are no calls: the earliest wish. Pokes come at any time."""
        assert self.waits, f"operation {self.operation.id} would sleep for ever"
        return max(min(self.waits.values()), self.now_s)


def _placed(event: Event, version: int) -> Event:
    return msgspec.structs.replace(event, originator_version=version + 1)


def _there(state: S | None) -> S:
    assert state is not None, "a fold of a state yields a state"
    return state
