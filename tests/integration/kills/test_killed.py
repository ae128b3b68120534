"""A SIGKILL in the middle of an operation, for real. A sample: `make kills` runs every step of every operation."""

from collections.abc import Mapping

import pytest
from tests.kills.killing import Hit, Victim, kill_in, undisturbed
from tests.kills.matrix import agree
from tests.kills.scenarios import SCENARIOS, Facts
from tests.kills.stage import Stage

pytestmark = [pytest.mark.engine, pytest.mark.slow]

_NAMED = {scenario.name: scenario for scenario in SCENARIOS}
_CREATION = _NAMED["create an empty instance"]
_IN_A_STEP_MIN = 3
"""Of the kills at each step of one creation: some steps are over before the signal arrives, or have no agent yet."""


@pytest.fixture(scope="module")
def creation(stage: Stage) -> tuple[Mapping[str, bool], Facts]:
    """The steps of a creation, and what is true after one without a kill."""
    return undisturbed(stage, _CREATION)


@pytest.mark.parametrize(
    ("name", "step", "victim"),
    [
        ("create users", "create_user_1", Victim.WORKING_AGENT),
        ("create databases", "create_database_2", Victim.UP),
        ("restart", "restart_server", Victim.AGENT),
    ],
)
def test_it_ends_as_without_the_kill(stage: Stage, name: str, step: str, victim: Victim) -> None:
    """The operation goes on where it was, succeeds, and leaves each effect once and nothing else."""
    scenario = _NAMED[name]
    steps, expected = undisturbed(stage, scenario)
    assert step in steps
    assert kill_in(stage, scenario, [step], victim, expected)[0] in (Hit.PENDING, Hit.LATE)
    agree(stage.machine)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", [Victim.UP, Victim.AGENT])
def test_a_creation_survives_a_kill_at_each_step(
    stage: Stage, creation: tuple[Mapping[str, bool], Facts], victim: Victim
) -> None:
    """Killed whenever another step begins, it ends as without a kill, and several of the kills were in the middle of a step."""
    steps, expected = creation
    hits = kill_in(stage, _CREATION, tuple(steps), victim, expected)
    assert hits.count(Hit.PENDING) >= _IN_A_STEP_MIN, hits
    agree(stage.machine)
