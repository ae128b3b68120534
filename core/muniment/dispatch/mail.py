"""How relay and conductor reach a transport: through tables of the same database, or over a wire.

With tables, sending is a row saved together with the mark that it was sent, and receiving is a row deleted together
with what it caused. A wire can do neither; there a message may go twice, and the window at its other end knows it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from muniment.bus.transport import ControlTransport, Letter, LetterKind
from muniment.store.ledger import Ledger
from muniment.store.writes import AddDownlink, TakeInbox, Write

__all__ = ["CarriedMail", "Mail", "TableMail"]


class Mail(Protocol):
    """The control plane's post office."""

    def post(self, instance_id: UUID, data: bytes, *, expires_s: float) -> Sequence[Write]:
        """Send to a guest, or return the writes that do when they are saved.

        Raises:
            Fault: the transport did not take it.
        """
        ...

    def posted(self) -> None:
        """The writes of `post` are saved."""
        ...

    def receive(self, limit: int) -> Sequence[Letter]:
        """Letters from guests, oldest first; they come again until they are dealt with."""
        ...

    def receipt(self, letter: Letter) -> Sequence[Write]:
        """The writes to save with what the letter caused, so that it does not come again."""
        ...

    def done(self, letter: Letter) -> None:
        """What the letter caused is saved, with its receipt."""
        ...

    def answer(self, request_digest: bytes, data: bytes) -> None:
        """The answer to an enrolment request is saved; let the guest have it."""
        ...


class TableMail:
    """The gateway's way: inbox, downlinks and enrolment answers are tables."""

    def __init__(self, ledger: Ledger, on_posted: Callable[[], None] = lambda: None) -> None:
        """`on_posted` is told when guests of a gateway in this process should look."""
        self._ledger = ledger
        self._on_posted = on_posted

    def post(self, instance_id: UUID, data: bytes, *, expires_s: float) -> Sequence[Write]:
        """See `Mail`."""
        return [AddDownlink(instance_id, data, expires_s)]

    def posted(self) -> None:
        """See `Mail`."""
        self._on_posted()

    def receive(self, limit: int) -> Sequence[Letter]:
        """See `Mail`."""
        with self._ledger.reading() as reader:
            rows = reader.inbox(limit)
        return [Letter(row.number, LetterKind(row.kind), row.payload) for row in rows]

    def receipt(self, letter: Letter) -> Sequence[Write]:
        """See `Mail`; a Conflict of the save when another conductor was faster."""
        return [TakeInbox((letter.id,))]

    def done(self, letter: Letter) -> None:
        """See `Mail`; the receipt was all."""

    def answer(self, request_digest: bytes, data: bytes) -> None:
        """See `Mail`; the gateway reads the recorded answer."""
        self._on_posted()


class CarriedMail:
    """Over a wire: what the transport does is done before or after the save, never with it."""

    def __init__(self, transport: ControlTransport) -> None:
        """Use the control plane's end of `transport`."""
        self._transport = transport

    def post(self, instance_id: UUID, data: bytes, *, expires_s: float) -> Sequence[Write]:
        """See `Mail`."""
        self._transport.send(instance_id, data, expires_s=expires_s)
        return ()

    def posted(self) -> None:
        """See `Mail`."""

    def receive(self, limit: int) -> Sequence[Letter]:
        """See `Mail`."""
        return self._transport.receive(limit)

    def receipt(self, letter: Letter) -> Sequence[Write]:
        """See `Mail`."""
        return ()

    def done(self, letter: Letter) -> None:
        """See `Mail`."""
        self._transport.done([letter])

    def answer(self, request_digest: bytes, data: bytes) -> None:
        """See `Mail`."""
        self._transport.answer(request_digest, data)
