"""All that the gateway may do with the store: file what guests send, and hand out what waits for them, all sealed."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final
from uuid import UUID

from muniment.bus.enrolment import Request
from muniment.bus.transport import LetterKind
from muniment.bus.transports.gateway_wire import DOWNLINK_BYTES_MAX, Downlink
from muniment.clock import Clock, seconds
from muniment.dispatch.guest_keys import password_digest
from muniment.domain.event import About
from muniment.store.ledger import Ledger
from muniment.store.state import DownlinkRow
from muniment.store.writes import AddInbox, TakeDownlink

__all__ = ["GatewayTables"]

_ABOUT: Final = About(project_id="", actor="gateway")
_UNPROVEN: Final = UUID(int=0)
"""Enrolment requests wait under no instance: anybody can name one, and must not fill its queue."""
_ENROLMENTS_WAITING_MAX: Final = 1000
_ROWS_MAX: Final = 64
_BYTES_MAX: Final = DOWNLINK_BYTES_MAX * 3 // 4
"""Leaves room for one more envelope of the largest size."""


class GatewayTables:
    """The gateway's view of the store. It opens nothing: it could not, for it holds no key."""

    def __init__(self, ledger: Ledger, clock: Clock, on_inbox: Callable[[], None] = lambda: None) -> None:
        """`on_inbox` is told when something was filed: it wakes a conductor of this process."""
        self._ledger = ledger
        self._clock = clock
        self._on_inbox = on_inbox

    def password_digest(self, instance_id: UUID) -> bytes | None:
        """SHA-256 of the instance's password here, or None: not enrolled, or deleted."""
        with self._ledger.reading() as reader:
            return password_digest(reader, instance_id)

    def file_envelope(self, instance_id: UUID, data: bytes) -> None:
        """Keep an envelope for the conductors.

        Raises:
            Refused: too many of this instance wait (429).
        """
        self._file(AddInbox(instance_id, LetterKind.ENVELOPE, data, seconds(self._clock.now())))

    def file_enrolment(self, request: Request) -> None:
        """Keep an enrolment request for the conductors.

        Raises:
            Refused: too many wait, of all guests together (429).
        """
        now_s = seconds(self._clock.now())
        self._file(AddInbox(_UNPROVEN, LetterKind.ENROLMENT, request.raw, now_s, _ENROLMENTS_WAITING_MAX))

    def enrolment_answer(self, request: Request) -> bytes | None:
        """The recorded answer to exactly this request."""
        with self._ledger.reading() as reader:
            row = reader.enrolment(request.instance_id)
        if row is None or row.request_digest != request.digest:
            return None
        return row.answer

    def waiting(self, instance_id: UUID) -> Downlink | None:
        """What waits for a guest, oldest first, as much as fits one answer; None when nothing does."""
        with self._ledger.reading() as reader:
            rows = reader.downlinks(instance_id, _ROWS_MAX)
        if not rows:
            return None
        fitting = _fitting(rows)
        return Downlink(_cursor(fitting[-1]), [row.payload for row in fitting])

    def confirm(self, instance_id: UUID, cursor: str) -> None:
        """Forget what the guest has dealt with: the row the cursor names and those of the instance before it.

        A cursor that names no row, since it was confirmed before or comes from another life of the database, does nothing.
        """
        with self._ledger.reading() as reader:
            rows = reader.downlinks(instance_id, _ROWS_MAX)
        named = next((place for place, row in enumerate(rows) if _cursor(row) == cursor), None)
        if named is not None:
            numbers = tuple(row.number for row in rows[: named + 1])
            self._ledger.save([], _ABOUT, writes=[TakeDownlink(numbers)])

    def added_after(self, number: int) -> tuple[int, set[UUID]]:
        """Which guests got something since row `number`, and the number of the newest row."""
        with self._ledger.reading() as reader:
            return reader.downlinks_after(number)

    def _file(self, write: AddInbox) -> None:
        self._ledger.save([], _ABOUT, writes=[write])
        self._on_inbox()


def _fitting(rows: Sequence[DownlinkRow]) -> Sequence[DownlinkRow]:
    """The first rows up to the bound of bytes, at least one."""
    size = 0
    for count, row in enumerate(rows):
        size += len(row.payload)
        if size > _BYTES_MAX and count:
            return rows[:count]
    return rows


def _cursor(row: DownlinkRow) -> str:
    """A name for a row that no other row, of this or another database, has."""
    return f"{row.number}-{sha256(row.payload).hexdigest()[:16]}"
