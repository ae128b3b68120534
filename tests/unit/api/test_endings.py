"""What a request that waited for an operation answers when it did not succeed."""

from uuid import UUID

import pytest
from tests.support.ledgers import ledger_on

from muniment.clock import ManualClock
from muniment.domain.arguments import NoArguments
from muniment.domain.event import About, Event
from muniment.domain.operation import CancelRequested, Completed, End, Failed, Intended, Started
from muniment.domain.refused import Refused
from muniment.store.memory import open_memory
from muniment_api.endings import Endings

ID = UUID(int=1)


def at(version: int) -> dict[str, object]:
    """Where an event stands."""
    return {"originator_id": ID, "originator_version": version}


STARTED = Started(
    **at(1), kind="enable_superuser.1", subjects=(), arguments=NoArguments(), steps=("enable_superuser",)
)
INTENDED = Intended(**at(2), step="enable_superuser", failures=0)


def failed(version: int) -> Failed:
    """Its step fails for good."""
    return Failed(**at(version), step="enable_superuser", failures=1, error="no", retry_at_s=None)


@pytest.mark.parametrize(
    ("between", "outcome", "status"),
    [
        ([failed(3)], End.FAILED, 500),
        ([CancelRequested(**at(3)), failed(4)], End.FAILED, 409),
        ([CancelRequested(**at(3))], End.FAILED_UNKNOWN, 409),
        ([failed(3), CancelRequested(**at(4))], End.FAILED, 500),
        ([], End.TAKEN_OVER, 409),
        ([], End.RESET, 409),
    ],
    ids=["failed", "cancelled", "cancelled and silent", "failed before the cancel", "deleted", "reset"],
)
def test_an_end_that_somebody_asked_for_is_a_conflict(
    between: list[Event], outcome: End, status: int
) -> None:
    """409 when it was cancelled, deleted or reset; 500 when it failed by itself."""
    ledger = ledger_on(open_memory(), ManualClock())
    end = Completed(**at(len(between) + 3), outcome=outcome, message="told")
    ledger.save([STARTED, INTENDED, *between, end], About(project_id="project-1", actor="test"))
    waiting = Endings(ledger).require(ID)
    assert next(waiting).is_met()
    with pytest.raises(Refused, match="told") as refused:
        next(waiting)
    assert refused.value.status == status
    ledger.close()
