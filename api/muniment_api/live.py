"""Live questions to a guest: users, databases and logs are not in any read model, only the engine knows them.

A question is an outbox row without an event; its answer is a sealed row with a time to live. A silent guest is a 503 after
two seconds, never a hanging request.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID, uuid4

import msgspec

from muniment.clock import Clock, seconds
from muniment.contract.errors import Code, GuestError
from muniment.contract.messages import Outcome
from muniment.contract.ops import Op
from muniment.dispatch.replies import open_reply
from muniment.domain.datastore import SYSTEM_PROJECT
from muniment.domain.event import About
from muniment.domain.instance import Instance
from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.state import OutboxRow
from muniment.store.writes import AddOutbox, TakeReply, WithdrawOutbox

__all__ = ["GuestQueries", "refusal_of"]

A = TypeVar("A", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)

_LIMIT_S: Final = 2.0
_POLL_S: Final = 0.01
_STATUS: Final = {
    Code.INVALID_ARGUMENT: 400,
    Code.ALREADY_EXISTS: 400,
    Code.NOT_FOUND: 404,
    Code.UNSUPPORTED: 422,
    Code.PRECONDITION_FAILED: 422,
    Code.CONFLICT: 422,
    Code.DB_REFUSED: 422,
}
_LATER: Final = frozenset(
    {
        Code.BUSY,
        Code.STALE_EPOCH,
        Code.EXPIRED,
        Code.TIMEOUT,
        Code.CANCELLED,
        Code.LOST,
        Code.STORAGE_UNAVAILABLE,
    }
)
"""Codes of what a later try may find mended."""
_ASKER = About(project_id=SYSTEM_PROJECT, actor="api")


class GuestQueries:
    """Asks guests and waits for the answers. Safe to share between threads; a question holds its thread while it waits."""

    def __init__(
        self, ledger: Ledger, vault: Vault, clock: Clock, *, new_id: Callable[[], UUID] = uuid4
    ) -> None:
        """Put questions into `ledger`; open the answers with `vault`."""
        self._ledger = ledger
        self._vault = vault
        self._clock = clock
        self._new_id = new_id

    def ask(self, instance: Instance, op: Op[A, R], args: A) -> R:
        """The result of a query op.

        Raises:
            Refused: 503, the guest did not answer within two seconds; or by what the guest answered.
            Fault: the guest met an error of its own.
        """
        outcome = self._outcome(instance, op, args)
        if outcome.error is not None:
            raise refusal_of(outcome.error)
        return msgspec.json.decode(outcome.result, type=op.result)

    def _outcome(self, instance: Instance, op: Op[A, R], args: A) -> Outcome:
        query_id = str(self._new_id())
        row = OutboxRow(
            id=query_id,
            operation_id=None,
            instance_id=instance.id,
            op=op.name,
            op_version=op.version,
            args=msgspec.json.encode(args),
            secret_refs={},
            instance_epoch=instance.epoch,
            set_epoch=0,
            deadline_s=seconds(self._clock.now()) + _LIMIT_S,
        )
        self._ledger.save([], _ASKER, writes=[AddOutbox(row)])
        outcome = self._await(query_id)
        self._ledger.save([], _ASKER, writes=[WithdrawOutbox((query_id,)), TakeReply(query_id)])
        if outcome is None:
            message = f"the guest of instance {instance.id} did not answer within {_LIMIT_S:.0f} s; try again"
            raise _later("guest-silent", message)
        return outcome

    def _await(self, query_id: str) -> Outcome | None:
        ends = time.monotonic() + _LIMIT_S
        while time.monotonic() < ends:
            with self._ledger.reading() as reader:
                reply = reader.reply(query_id)
            if reply is not None:
                return open_reply(self._vault, reply)
            time.sleep(_POLL_S)
        return None


def refusal_of(error: GuestError) -> Refused | Fault:
    """What a guest's error is to the caller (D-11): their mistake, a bad moment, or a fault whose words stay in the log."""
    code = error.code.replace("_", "-")
    if error.code in _STATUS:
        return Refused(code, error.message, status=_STATUS[error.code])
    if error.code in _LATER or error.retryable:
        return _later(code, "the guest cannot answer at the moment; try again")
    return Fault("guest", f"{error.code}: {error.message}", retryable=False)


def _later(code: str, message: str) -> Refused:
    return Refused(code, message, status=503, details={"retry_after_s": 2})
