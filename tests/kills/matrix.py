"""All kills: every way to have an operation, each of its steps, each victim."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import httpx
import psycopg
from tests.kills.killing import Hit, Victim, kill_in, undisturbed
from tests.kills.scenarios import SCENARIOS, Scenario
from tests.kills.stage import Stage
from tests.support.machine import Machine

from muniment.operations.catalogue import CATALOGUE
from muniment.operations.steps import Each

__all__ = ["Report", "agree", "missing_kinds", "missing_steps", "run"]


@dataclass
class Report:
    """What was run and what it met."""

    hits: Counter[tuple[str, str, Victim, Hit]] = field(default_factory=Counter)
    steps: dict[str, set[str]] = field(default_factory=dict)
    """Steps by kind of operation, as the scenarios had them."""
    failures: list[str] = field(default_factory=list)

    def count(self, *hits: Hit) -> int:
        """How many kills met one of these."""
        return sum(n for (_, _, _, hit), n in self.hits.items() if hit in hits)

    def summary(self) -> str:
        """How many operations, steps and victims were run."""
        kinds = {kind for kind, *_ in self.hits}
        steps = {(kind, step) for kind, step, *_ in self.hits}
        victims = {victim for _, _, victim, _ in self.hits}
        return (
            f"{len(kinds)} kinds of operation, {len(steps)} steps, {len(victims)} victims: "
            f"{self.count(Hit.PENDING, Hit.LATE)} kills, {self.count(Hit.PENDING)} of them in the step, "
            f"{self.count(Hit.LATE)} just after it; {self.count(Hit.NOBODY)} times there was nobody to kill"
        )


def missing_kinds(scenarios: Iterable[Scenario] = SCENARIOS) -> set[str]:
    """Kinds of operation that no scenario has."""
    return set(CATALOGUE) - {scenario.kind for scenario in scenarios}


def missing_steps(steps: dict[str, set[str]]) -> set[str]:
    """Steps of the catalogue that no scenario's operation had."""
    wanted = {
        f"{kind}: {part.name}_1" if isinstance(part, Each) else f"{kind}: {part.name}"
        for kind, definition in CATALOGUE.items()
        for part in definition.steps
    }
    return wanted - {f"{kind}: {step}" for kind, names in steps.items() for step in names}


def run(
    scenarios: Sequence[Scenario] = SCENARIOS,
    victims: Sequence[Victim] = tuple(Victim),
    say: Callable[[str], None] = print,
) -> Report:
    """Run the matrix, each scenario on the same stage until one fails; what fails is told and the rest goes on."""
    report = Report()
    stage: Stage | None = None
    try:
        for scenario in scenarios:
            stage = stage or _furnished()
            try:
                _run_scenario(stage, scenario, victims, report, say)
            except (AssertionError, httpx.HTTPError, psycopg.Error) as error:
                report.failures.append(f"{scenario.name}: {error}")
                say(f"FAILED {report.failures[-1]}\n{stage.machine.log.read_text()[-3000:]}")
                _remove(stage)
                stage = None
    finally:
        if stage is not None:
            _remove(stage)
    return report


def agree(machine: Machine) -> None:
    """Doctor finds nothing, the chain verifies, and the read models are what the log says."""
    for command in ("doctor", "verify", "rebuild"):
        done = machine.operate(command)
        assert done.returncode == 0, f"muniment {command}: {done.stdout}{done.stderr}"


def _run_scenario(
    stage: Stage, scenario: Scenario, victims: Sequence[Victim], report: Report, say: Callable[[str], None]
) -> None:
    sends, expected = undisturbed(stage, scenario)
    report.steps.setdefault(scenario.kind, set()).update(sends)
    for step, sends_command in sends.items():
        for victim in victims:
            if victim is Victim.WORKING_AGENT and not sends_command:
                report.hits[scenario.kind, step, victim, Hit.NOBODY] += 1
                continue
            began_s = time.monotonic()
            try:
                (hit,) = kill_in(stage, scenario, [step], victim, expected)
            except (AssertionError, httpx.HTTPError, psycopg.Error) as error:
                raise AssertionError(f"{victim} killed at {step}: {type(error).__name__} {error}") from error
            report.hits[scenario.kind, step, victim, hit] += 1
            say(f"{scenario.name:24} {step:18} {victim:14} {hit:8} {time.monotonic() - began_s:6.1f} s")
    agree(stage.machine)


def _furnished() -> Stage:
    machine = Machine()
    try:
        stage = Stage(machine)
        stage.furnish()
    except BaseException:
        machine.remove()
        raise
    return stage


def _remove(stage: Stage) -> None:
    stage.close()
    stage.machine.remove()
