"""Live questions to a guest: users, databases and logs are not in any read model, only the engine knows them.

A question is an outbox row without an event; its answer is a sealed row with a time to live. A silent guest is a 503 after
two seconds, never a hanging request.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar
from uuid import UUID, uuid4

import msgspec

from muniment.clock import Clock, seconds
from muniment.contract.errors import Code, GuestError
from muniment.contract.messages import Outcome
from muniment.contract.ops import Op, Page
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
from muniment_api.waiting import Until, Waiting

__all__ = ["GuestQueries", "Listed", "every_item", "refusal_of"]

A = TypeVar("A", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_LIMIT_S: Final = 2.0
_PAGE: Final = 500
_PAGES_MAX: Final = 100
"""A guest that always says there is more is not believed for ever."""
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
    """Asks guests and waits for the answers. Safe to share between threads."""

    def __init__(
        self, ledger: Ledger, vault: Vault, clock: Clock, *, new_id: Callable[[], UUID] = uuid4
    ) -> None:
        """Put questions into `ledger`; open the answers with `vault`."""
        self._ledger = ledger
        self._vault = vault
        self._clock = clock
        self._new_id = new_id

    def ask(self, instance: Instance, op: Op[A, R], args: A) -> Waiting[R]:
        """The result of a query op.

        Raises:
            Refused: 503, the guest did not answer within two seconds; or by what the guest answered.
            Fault: the guest met an error of its own.
        """
        outcome = yield from self._outcome(instance, op, args)
        if outcome.error is not None:
            raise refusal_of(outcome.error)
        return msgspec.json.decode(outcome.result, type=op.result)

    def _outcome(self, instance: Instance, op: Op[A, R], args: A) -> Waiting[Outcome]:
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
        yield Until(lambda: self._answer(query_id) is not None, _LIMIT_S)
        outcome = self._answer(query_id)
        self._ledger.save([], _ASKER, writes=[WithdrawOutbox((query_id,)), TakeReply(query_id)])
        if outcome is None:
            message = f"the guest of instance {instance.id} did not answer within {_LIMIT_S:.0f} s; try again"
            raise _later("guest-silent", message)
        return outcome

    def _answer(self, query_id: str) -> Outcome | None:
        with self._ledger.reading() as reader:
            reply = reader.reply(query_id)
        return None if reply is None else open_reply(self._vault, reply)


class Listed(Protocol[T_co]):
    """A guest's answer to a question for a page."""

    @property
    def items(self) -> tuple[T_co, ...]:
        """What is on the page, in order."""
        ...

    @property
    def more(self) -> bool:
        """Whether another page follows."""
        ...


def every_item(ask: Callable[[Page], Waiting[Listed[T]]], marker_of: Callable[[T], str]) -> Waiting[list[T]]:
    """All items of a listing, page by page; `marker_of` an item is what the next page begins behind.

    Raises:
        Fault: the guest tells of no end.
    """
    found: list[T] = []
    for _ in range(_PAGES_MAX):
        page = yield from ask(Page(limit=_PAGE, marker=marker_of(found[-1]) if found else None))
        found += page.items
        if not page.more or not page.items:
            return found
    raise Fault("guest", f"its listing goes on after {_PAGES_MAX} pages", retryable=False)


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
