"""Twenty seeds of the whole control plane under faults, and the proof that they would find what is wrong."""

import pytest
from tests.simulation.bugs import BUGS, planted
from tests.simulation.run import repeat_command, run_seed, run_seeds
from tests.simulation.watch import Violation

SEEDS = range(1, 21)


def test_everyday_seeds_pass_and_miss_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """No seed finds a violation, and together they meet every fault and every crash point of every step."""
    summary = run_seeds(SEEDS)
    with capsys.disabled():
        print(f"\n{len(summary.reports)} of {len(SEEDS)} seeds passed", end=" ")
    failed = [f"{message}; repeat: {repeat_command(seed)}" for seed, message in summary.failures.items()]
    assert not failed
    assert not summary.missed


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    """A rule of the protocol left out is found within the everyday seeds."""
    with planted(bug):
        assert any(_finds(seed) for seed in SEEDS), f"no seed finds: {bug}"


def test_a_seed_repeats() -> None:
    """The same seed does the same things in the same order, to the microsecond."""
    assert run_seed(3) == run_seed(3)


def _finds(seed: int) -> bool:
    try:
        run_seed(seed)
    except Violation:
        return True
    return False
