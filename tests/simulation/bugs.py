"""Bugs planted on purpose: each is a rule of the protocol left out. A simulation that does not find them proves nothing.

The code of the engine is changed in memory, inside a `with` block, and is itself again after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from typing import Any, Final

from tests.simulation.engine import MemoryJournal

from muniment.contract.messages import Command, FromGuest
from muniment.domain.event import Event
from muniment.domain.instance import EpochRaised
from muniment.domain.operation import End, Progress
from muniment.operations import takeover, turn
from muniment.operations.calls import FindOrCreate, NotMade, Observation
from muniment.operations.guest_steps import _Command
from muniment.operations.line import NO_LINE
from muniment.operations.performing import Performer
from muniment.operations.plan import Plan
from muniment.operations.steps import Step
from muniment.store.transaction import Transaction
from muniment.store.writes import OpenCommand, ReleaseReservation
from muniment_guest.duties import Secrets
from muniment_guest.machine import Machine

__all__ = ["BUGS", "planted"]


def _undo_only_what_succeeded(original: Callable[..., bool]) -> Callable[..., bool]:
    """An attempt without a known success is taken for one without an effect."""

    def is_undone(self: Any, name: str) -> bool:
        return original(self, name) or self.plan.step(name).progress is not Progress.SUCCEEDED

    return is_undone


def _silence_is_failure(original: Callable[..., None]) -> Callable[..., None]:
    """A guest that does not answer in time is taken for one that has done nothing."""

    def poll(self: Any, plan: Plan, step: Step) -> None:
        if plan.now_s >= self._silent_at_s(plan, step):
            self._close(plan, step)
            plan.fail(step.name, "no answer", tries=step.tries)
            return
        original(self, plan, step)

    return poll


def _begin_beside_another(original: Callable[..., None]) -> Callable[..., None]:
    """A command is sent although the instance has an unanswered one."""

    def begin(self: Any, plan: Plan, step: Step) -> None:
        plan.unanswered, plan.line = None, NO_LINE
        original(self, plan, step)

    return begin


def _open_without_a_guard(original: Callable[..., None]) -> Callable[..., None]:
    """And the table does not mind."""

    def apply(self: OpenCommand, tx: Transaction) -> None:
        tx.run("DELETE FROM unanswered WHERE instance_id = :instance_id", {"instance_id": self.instance_id})
        original(self, tx)

    return apply


def _guest_without_dedup(original: Callable[..., list[FromGuest]]) -> Callable[..., list[FromGuest]]:
    """The guest forgets what it has done."""

    def hear(self: Any, command: Command, *, expires_s: float, secrets: Secrets) -> list[FromGuest]:
        journal: MemoryJournal = self._journal
        known = journal.entries.get(command.command_id)
        if known is not None and known.outcome is not None:
            del journal.entries[command.command_id]
        return original(self, command, expires_s=expires_s, secrets=secrets)

    return hear


def _quota_released_at_take_over(original: Callable[..., None]) -> Callable[..., None]:
    """What an operation had reserved is free as soon as it is taken over."""

    def end(self: Any, occupant: Any, outcome: End, reason: str) -> None:
        original(self, occupant, outcome, reason)
        self.writes.append(ReleaseReservation(occupant.operation.id))

    return end


def _without_epochs(original: Callable[..., None]) -> Callable[..., None]:
    """The epoch stays what it was."""

    def say(self: Any, event: Event) -> None:
        if not isinstance(event, EpochRaised):
            original(self, event)

    return say


def _no_second_look(original: Callable[..., Observation]) -> Callable[..., Observation]:
    """The permit is looked at before the find, and not again before the create."""

    def find_or_create(self: Performer, call: FindOrCreate, *others: Any) -> Observation:
        if self.now_s() > call.call_by_s:
            return NotMade()
        return original(self, replace(call, call_by_s=inf), *others)

    return find_or_create


_Change = tuple[type, str, Callable[[Any], Any]]

BUGS: Final[dict[str, Sequence[_Change]]] = {
    "undo only what succeeded": [(turn._Turn, "_is_undone", _undo_only_what_succeeded)],
    "silence taken for failure": [(_Command, "poll", _silence_is_failure)],
    "two commands unanswered": [
        (_Command, "begin", _begin_beside_another),
        (OpenCommand, "apply", _open_without_a_guard),
    ],
    "guest without dedup": [(Machine, "hear", _guest_without_dedup)],
    "quota released at a take-over": [(takeover._Ending, "_end", _quota_released_at_take_over)],
    "no epoch raised at a take-over": [(takeover._Ending, "say", _without_epochs)],
    "no epoch raised at an unwinding": [(Plan, "say", _without_epochs)],
    "create without the second look at the permit": [(Performer, "_find_or_create", _no_second_look)],
}


@contextmanager
def planted(bug: str) -> Iterator[None]:
    """Live with a bug for a while."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in BUGS[bug]]
    try:
        for owner, name, change in BUGS[bug]:
            setattr(owner, name, change(getattr(owner, name)))
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
