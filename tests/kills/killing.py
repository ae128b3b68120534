"""One operation with SIGKILLs in it: each as soon as the ledger says that a step begins."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import httpx
from tests.kills.ledger_watch import Begun, Started
from tests.kills.processes import ServerFiles, server_of
from tests.kills.scenarios import Facts, Scenario
from tests.kills.stage import Stage, eventually

__all__ = ["Hit", "Victim", "kill_in", "undisturbed"]

_BEGIN_S = 90.0
_BORN_S = 10.0
_TAKE_UP_S = 30.0
_LOOK_S = 0.001
_FACTS_S = 45.0


class Victim(StrEnum):
    """Who is killed."""

    UP = "up"
    """The control plane, at the step's intent."""
    AGENT = "agent"
    """The agent, at the step's intent; its jobs run on."""
    WORKING_AGENT = "working agent"
    """The agent, when its journal shows that it took the step's command up."""


class Hit(StrEnum):
    """What a kill met."""

    PENDING = "pending"
    """The step was not known to have succeeded when the victim was dead."""
    LATE = "late"
    """The step had succeeded meanwhile; others followed."""
    NOBODY = "nobody"
    """The step has no such victim: no agent lives yet or any more, or no command goes to it."""


@dataclass
class _Asking:
    """The request, in a thread of its own: the kill may come before its answer."""

    stage: Stage
    scenario: Scenario
    subject: str
    error: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        try:
            self.scenario.ask(self.stage, self.subject)
        except (httpx.TransportError, AssertionError) as error:
            self.error = error

    def end(self, *, may_be_cut: bool) -> None:
        """Wait for the answer; only that of a killed process may be missing."""
        self.thread.join()
        if self.error is not None and not (may_be_cut and isinstance(self.error, httpx.TransportError)):
            raise self.error


def undisturbed(stage: Stage, scenario: Scenario) -> tuple[Mapping[str, bool], Facts]:
    """The scenario without a kill: the steps of its operation, whether each sends a command, and what is true afterwards."""
    subject = scenario.prepare(stage)
    position = stage.watch.head()
    scenario.ask(stage, subject)
    stage.wait_quiet()
    operation = stage.watch.started(position, scenario.kind)
    assert operation is not None, scenario.name
    assert stage.watch.outcome(operation.originator_id) == "succeeded", scenario.name
    begun = {step: stage.watch.begun(operation.originator_id, step) for step in operation.steps}
    sends = {step: found is not None and found.command_id is not None for step, found in begun.items()}
    facts = scenario.facts(stage, subject)
    scenario.clear(stage, subject)
    return sends, facts


def kill_in(
    stage: Stage, scenario: Scenario, steps: Sequence[str], victim: Victim, expected: Facts
) -> tuple[Hit, ...]:
    """The scenario with a kill at each of these steps, which are named in their order; what each kill met.

    It must end as if there had been none, and leave what it leaves without.
    """
    subject = scenario.prepare(stage)
    position = stage.watch.head()
    asking = _Asking(stage, scenario, subject)
    hits = tuple(_kill_at(stage, scenario, position, step, victim, asking) for step in steps)
    stage.wait_quiet()
    asking.end(may_be_cut=victim is Victim.UP)
    operation = stage.watch.started(position, scenario.kind)
    assert operation is not None, scenario.name
    assert stage.watch.outcome(operation.originator_id) == "succeeded", operation.originator_id
    assert stage.operation(operation.originator_id)["status"] == "succeeded", operation.originator_id
    _same(stage, scenario, subject, expected)
    scenario.clear(stage, subject)
    return hits


def _kill_at(
    stage: Stage, scenario: Scenario, position: int, step: str, victim: Victim, asking: _Asking
) -> Hit:
    operation, begun, stamps = _await_step(stage, scenario, position, step, asking)
    if victim is Victim.UP:
        stage.machine.kill()
        hit = Hit.PENDING
    else:
        hit = _kill_agent(stage, operation, begun, victim, stamps)
    if hit is Hit.PENDING and stage.watch.has_succeeded(operation.originator_id, step):
        hit = Hit.LATE
    if victim is Victim.UP:
        asking.end(may_be_cut=True)
        stage.start()
    return hit


def _await_step(
    stage: Stage, scenario: Scenario, position: int, step: str, asking: _Asking
) -> tuple[Started, Begun, tuple[int, ...]]:
    """The operation and the step that began, and how the agent's journal looked just before."""
    ends = time.monotonic() + _BEGIN_S
    stamps: tuple[int, ...] = ()
    while True:
        operation = stage.watch.started(position, scenario.kind)
        if operation is not None:
            begun = stage.watch.begun(operation.originator_id, step)
            if begun is not None:
                return operation, begun, stamps
            server = _server(stage, operation)
            stamps = server.journal_stamps() if server is not None else ()
        elif not asking.thread.is_alive():
            asking.end(may_be_cut=False)
        assert time.monotonic() < ends, f"{step} of {scenario.name} did not begin in {_BEGIN_S:.0f} s"
        time.sleep(_LOOK_S)


def _server(stage: Stage, operation: Started) -> ServerFiles | None:
    """The server whose agent is the victim: that of the operation's instance, or the standing one."""
    return server_of(stage.machine.data / "cloud", operation.subject("instance") or stage.base)


def _kill_agent(
    stage: Stage, operation: Started, begun: Begun, victim: Victim, stamps: tuple[int, ...]
) -> Hit:
    def is_over() -> bool:
        return stage.watch.has_succeeded(operation.originator_id, begun.step)

    if victim is Victim.WORKING_AGENT:
        server = _server(stage, operation)
        assert server is not None, "a command goes to a server"
        _until(lambda: server.journal_stamps() != stamps, _TAKE_UP_S)
    pids: list[int] = []

    def found() -> bool:
        server = _server(stage, operation)
        pids.extend(server.agents() if server is not None else [])
        return bool(pids)

    _until(lambda: found() or is_over(), _BORN_S)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return Hit.PENDING if pids else Hit.NOBODY


def _until(holds: Callable[[], bool], limit_s: float) -> None:
    ends = time.monotonic() + limit_s
    while not holds() and time.monotonic() < ends:
        time.sleep(_LOOK_S)


def _same(stage: Stage, scenario: Scenario, subject: str, expected: Facts) -> None:
    """What is true comes to be what it was without a kill; a killed agent needs a moment until all is well again."""
    found: list[Facts] = []

    def holds() -> bool:
        found.append(scenario.facts(stage, subject))
        return found[-1] == expected

    def difference() -> str:
        last = found[-1]
        keys = [key for key in expected if last.get(key) != expected[key]]
        return f"{scenario.name}: " + "; ".join(
            f"{key} is {last.get(key)}, not {expected[key]}" for key in keys
        )

    eventually(holds, difference, _FACTS_S, pause_s=0.2)
