"""A step that is blocked: what an operator is told of it."""

from uuid import UUID

from muniment.domain.arguments import NoArguments
from muniment.domain.operation import OPERATION, Blocked, Intended, Started

OPERATION_ID = UUID(int=7)


def test_a_blocked_step_keeps_the_reason() -> None:
    """Who asks what is stuck is also told why."""
    started = Started(
        originator_id=OPERATION_ID,
        originator_version=1,
        kind="delete_backup.1",
        subjects=(),
        arguments=NoArguments(),
        steps=("remove_objects",),
    )
    intended = Intended(originator_id=OPERATION_ID, originator_version=2, step="remove_objects", failures=0)
    blocked = Blocked(
        originator_id=OPERATION_ID, originator_version=3, step="remove_objects", reason="its disk is gone"
    )

    operation = OPERATION.fold(None, [started, intended, blocked])

    assert operation is not None
    assert operation.steps["remove_objects"].is_blocked
    assert operation.steps["remove_objects"].error == "its disk is gone"
