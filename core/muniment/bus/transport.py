"""The port between sealed bytes and whatever carries them. A transport may lose, delay, repeat and reorder; nothing more.

It is never trusted: it sees sealed bytes and their sizes, and whatever it delivers is opened by the envelope alone.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from muniment.secret import Secret

__all__ = ["ControlTransport", "GuestTransport", "Letter", "LetterKind"]


class LetterKind(StrEnum):
    """What a guest sent, as the transport knows it: it cannot look inside."""

    ENROLMENT = "enrolment"
    ENVELOPE = "envelope"


class Letter(msgspec.Struct, frozen=True):
    """Bytes from a guest; `id` is the transport's own name for this delivery."""

    id: int
    kind: LetterKind
    data: bytes


class GuestTransport(Protocol):
    """The guest's end. It connects outwards only; a guest has no port for anybody to connect to."""

    def enrol(self, request: bytes, *, wait_s: float) -> bytes | None:
        """Ask to be admitted; None when no answer came within `wait_s`: ask again with the same bytes.

        Raises:
            Fault: the other side cannot be reached, or will never answer.
        """
        ...

    def authorise(self, bearer: Secret) -> None:
        """Use this password from now on: what the enrolment's answer said."""
        ...

    def send(self, data: bytes) -> None:
        """Hand an envelope over; it may still be lost.

        Raises:
            Fault: it was not taken.
        """
        ...

    def receive(self, *, wait_s: float) -> Sequence[bytes]:
        """What is there for this guest, waiting up to `wait_s` for something to be.

        Asking again says that what came before was dealt with; what was not may come again.

        Raises:
            Fault: the other side cannot be reached.
        """
        ...


class ControlTransport(Protocol):
    """The control plane's end, for all guests."""

    def send(self, instance_id: UUID, data: bytes, *, expires_s: float) -> None:
        """Hand an envelope over for one guest; past `expires_s` (seconds since 1970) it may be dropped.

        Raises:
            Fault: it was not taken.
        """
        ...

    def answer(self, request_digest: bytes, data: bytes) -> None:
        """Hand over the answer to the enrolment request of that SHA-256."""
        ...

    def receive(self, limit: int) -> Sequence[Letter]:
        """At most `limit` letters, oldest first, without waiting. They come again until `done` is called."""
        ...

    def done(self, letters: Sequence[Letter]) -> None:
        """Their effect is durable; forget them."""
        ...
