"""A SIGKILL in the middle of an operation, for real. A sample: `make kills` runs every step of every operation."""

import pytest
from tests.kills.killing import Hit, Victim, kill_in, undisturbed
from tests.kills.matrix import agree
from tests.kills.scenarios import SCENARIOS
from tests.kills.stage import Stage

pytestmark = [pytest.mark.engine, pytest.mark.slow]


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
    scenario = next(one for one in SCENARIOS if one.name == name)
    steps, expected = undisturbed(stage, scenario)
    assert step in steps
    assert kill_in(stage, scenario, step, victim, expected) in (Hit.PENDING, Hit.LATE)
    agree(stage.machine)
