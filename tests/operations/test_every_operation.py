"""Every operation there is survives every mistreatment there is; `python -m tests.operations` prints the same counts."""

from collections.abc import Callable

import pytest
from tests.operations.cases import CASES
from tests.operations.helpers import HELPERS, Mistreated, cancel
from tests.operations.wrong_undo import SLOW_UNDO, WRONG_UNDO, WRONG_UNDO_CASES
from tests.simulation.watch import Violation

from muniment.operations.catalogue import CATALOGUE

Helper = Callable[..., Mistreated]


def name_of(helper: Helper) -> str:
    """How a helper is called in the list of tests."""
    return helper.__name__


@pytest.mark.parametrize("helper", HELPERS, ids=name_of)
def test_every_operation_survives(helper: Helper, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is done to an operation at any of its steps, it ends as it should and leaves nothing that it should not."""
    mistreated = helper(CATALOGUE, CASES)
    with capsys.disabled():
        print(f"\n{helper.__name__}: {mistreated}", end=" ")
    assert mistreated.operations == len(CATALOGUE)
    assert mistreated.points > 0


@pytest.mark.parametrize("helper", HELPERS, ids=name_of)
def test_a_wrong_undo_fails_the_helper(helper: Helper) -> None:
    """An operation whose undo says that it has undone, and has not, passes none of the helpers."""
    with pytest.raises((Violation, AssertionError), match=r"exist|leaves"):
        helper(WRONG_UNDO, WRONG_UNDO_CASES)


def test_a_slow_undo_fails_the_helper() -> None:
    """A cancelled operation that keeps its instance for hours does not pass, though it undoes everything in the end."""
    with pytest.raises(AssertionError, match="does not end within"):
        cancel(SLOW_UNDO, WRONG_UNDO_CASES)


def test_nothing_opts_out() -> None:
    """There is a case for each kind of operation, and for none that does not exist."""
    assert set(CASES) == set(CATALOGUE)
