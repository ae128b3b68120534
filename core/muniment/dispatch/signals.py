"""What a guest's word is to an operation: the rows that reach it.

The payload is the body of the guest's message (`muniment.contract.messages.decode_from_guest`).
"""

from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from muniment.store.state import OutboxRow, SignalRow, UnansweredRow
from muniment.store.writes import AddSignal

__all__ = ["SignalKind", "answer_signal", "report_signal"]

_NAMESPACE: Final = UUID("5d9b0a0e-3c3f-4c64-9a8b-0d0c1a6f9d57")


class SignalKind(StrEnum):
    """What a signal of a guest carries."""

    OUTCOME = "outcome"
    """An `Outcome` of the command `command_id`."""
    ACK = "ack"
    """An `Ack` that rejects the command `command_id`."""
    REPORT = "report"
    """The `Outcome` of a question about the command `command_id`; its result is a `JobReport`."""


def answer_signal(row: UnansweredRow, kind: SignalKind, payload: bytes, at_s: float) -> AddSignal:
    """The answer to the command that its operation waits for. Told twice, it is one signal."""
    return _signal(row.operation_id, row.command_id, kind, payload, at_s)


def report_signal(row: OutboxRow, payload: bytes, at_s: float) -> AddSignal:
    """The answer to a question about a command."""
    assert row.operation_id is not None, "a live query has no operation"
    return _signal(row.operation_id, row.query_of, SignalKind.REPORT, payload, at_s)


def _signal(
    operation_id: UUID, command_id: UUID | None, kind: SignalKind, payload: bytes, at_s: float
) -> AddSignal:
    signal_id = uuid5(_NAMESPACE, f"{operation_id} {command_id} {kind} {payload.hex()}")
    return AddSignal(
        SignalRow(
            id=signal_id,
            operation_id=operation_id,
            command_id=command_id,
            kind=kind,
            payload=payload,
            at_s=at_s,
        )
    )
