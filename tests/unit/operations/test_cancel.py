"""What may be cancelled, and what is written for it."""

from uuid import UUID

import msgspec
import pytest

from muniment.domain.arguments import NoArguments
from muniment.domain.operation import (
    OPERATION,
    CancelRequested,
    Completed,
    End,
    Operation,
    Started,
    UnwindingStarted,
)
from muniment.domain.refused import Refused
from muniment.operations.answers import CANCEL
from muniment.operations.cancel import cancel
from muniment.operations.delete_instance import DELETE_INSTANCE
from muniment.operations.restart_instance import RESTART_INSTANCE
from muniment.operations.steps import Definition
from muniment.store.state import SignalRow
from muniment.store.writes import AddSignal

ID, SIGNAL = UUID(int=1), UUID(int=2)
ROW = SignalRow(id=SIGNAL, operation_id=ID, command_id=None, kind=CANCEL, payload=b"", at_s=5.0)
RUNNING = OPERATION.fold(
    None,
    [
        Started(
            originator_id=ID,
            originator_version=1,
            kind=RESTART_INSTANCE.kind,
            subjects=(),
            arguments=NoArguments(),
            steps=("restart_server",),
        )
    ],
)
assert RUNNING is not None
ENDED = OPERATION.fold(
    RUNNING, [Completed(originator_id=ID, originator_version=2, outcome=End.FAILED_UNKNOWN)]
)
UNDONE = OPERATION.fold(RUNNING, [UnwindingStarted(originator_id=ID, originator_version=2, reason="")])
ASKED = OPERATION.fold(RUNNING, [CancelRequested(originator_id=ID, originator_version=2)])
assert ASKED is not None


def asked(
    operation: Operation, definition: Definition = RESTART_INSTANCE, *waiting: SignalRow
) -> list[AddSignal]:
    """Ask it to stop."""
    return cancel(operation, definition, waiting, signal_id=SIGNAL, now_s=5.0)


def test_a_running_operation_is_sent_a_signal() -> None:
    """The holder of its claim will read it."""
    assert asked(RUNNING) == [AddSignal(ROW)]


def test_it_is_asked_once() -> None:
    """Nothing is added while a signal waits, nor after it was heard, also when it unwinds because of it."""
    assert asked(RUNNING, RESTART_INSTANCE, ROW) == []
    assert asked(ASKED) == []
    assert (
        asked(OPERATION.fold(ASKED, [UnwindingStarted(originator_id=ID, originator_version=3, reason="")]))
        == []
    )


def test_answers_of_guests_are_no_cancel() -> None:
    """Other signals that wait do not keep it from being asked."""
    answer = msgspec.structs.replace(ROW, kind="outcome", command_id=UUID(int=3))
    assert asked(RUNNING, RESTART_INSTANCE, answer) == [AddSignal(ROW)]


@pytest.mark.parametrize(
    ("operation", "definition", "word"),
    [
        (ENDED, RESTART_INSTANCE, "has ended already: failed unknown"),
        (RUNNING, DELETE_INSTANCE, "to delete the instance, which cannot be cancelled"),
        (UNDONE, RESTART_INSTANCE, "has failed and is being undone already"),
    ],
    ids=["ended", "deletion", "undone"],
)
def test_what_cannot_be_stopped_is_refused(operation: Operation, definition: Definition, word: str) -> None:
    """409, with the reason."""
    with pytest.raises(Refused, match=word) as refused:
        asked(operation, definition)
    assert refused.value.status == 409
