"""The envelope, version 1: an authenticated header of 72 bytes, the sealed body, a tag of 16.

    off len field            off len field            off len field
      0   2 magic `MU`         6   2 zero              36   8 sequence, from 1
      2   1 version, 1         8   4 key epoch         44   8 issued, ms since 1970
      3   1 suite             12  16 instance          52   8 expires, ms since 1970
      4   1 direction         28   8 session           60  12 nonce, random
      5   1 kind

The whole header is associated data. Whatever bytes arrive, `open_envelope` answers an authentic `Message` or raises
`EnvelopeError`: there is no plaintext mode and nothing to fall back to.
"""

import os
from enum import IntEnum
from struct import Struct
from typing import Final, Literal
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag

from muniment.bus.suite import DEFAULT_SUITES, Direction, DirectionKey, KeyFinder, Suite

__all__ = [
    "BODY_BYTES_MAX",
    "CLOCK_SKEW_MS",
    "ENVELOPE_BYTES_MAX",
    "LIFETIME_MS_MAX",
    "OVERHEAD_BYTES",
    "EnvelopeError",
    "Kind",
    "Message",
    "Reason",
    "open_envelope",
    "seal_envelope",
]

Reason = Literal[
    "malformed",
    "unknown_key",
    "not_authentic",
    "misdirected",
    "expired",
    "from_future",
    "stale_session",
    "replayed",
]

_HEADER: Final = Struct(">2sBBBBHI16sQQQQ12s")
_MAGIC: Final = b"MU"
_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_NUMBER_MAX: Final = 2**63 - 1
"""The largest session or sequence: what databases keep as an integer. The field would hold twice that."""

OVERHEAD_BYTES: Final = _HEADER.size + 16
BODY_BYTES_MAX: Final = 1024 * 1024
ENVELOPE_BYTES_MAX: Final = BODY_BYTES_MAX + OVERHEAD_BYTES
CLOCK_SKEW_MS: Final = 120_000
LIFETIME_MS_MAX: Final = 24 * 3600 * 1000


class Kind(IntEnum):
    """What a message is for."""

    COMMAND = 1
    REPLY = 2
    REPORT = 3
    HEARTBEAT = 4
    ROTATE = 5
    """Reserved for the exchange of a new root key."""


class EnvelopeError(Exception):
    """A message was not believed. `reason` is one of eight words, safe to log and to use as a metric label."""

    def __init__(self, reason: Reason) -> None:
        """Say why; the message itself is never part of the error's text."""
        super().__init__(reason)
        self.reason = reason


class Message(msgspec.Struct, frozen=True):
    """An authentic message. Its instance is the one whose key opened it, the only sender anybody may believe."""

    instance_id: UUID
    direction: Direction
    kind: Kind
    epoch: int
    session: int
    sequence: int
    issued_ms: int
    expires_ms: int
    body: bytes


# Looking a number up here is several times faster than calling the enumeration, and None marks what is unknown.
_SUITES: Final = {int(suite): suite for suite in Suite}
_DIRECTIONS: Final = {int(direction): direction for direction in Direction}
_KINDS: Final = {int(kind): kind for kind in Kind}


def seal_envelope(
    body: bytes,
    key: DirectionKey,
    kind: Kind,
    *,
    session: int,
    sequence: int,
    issued_ms: int,
    expires_ms: int,
    nonce: bytes | None = None,
) -> bytes:
    """Seal `body` under `key`. The caller owns the numbering: (session, sequence) names one message for ever.

    Sealing the same message anew is harmless: it takes another nonce and keeps its identity. `nonce` is for test
    vectors alone.

    Raises:
        ValueError: the body is larger than `BODY_BYTES_MAX`, the lifetime not within 24 hours, or a number out of range.
    """
    if len(body) > BODY_BYTES_MAX:
        raise ValueError(f"a message body of {len(body)} bytes is over the limit of {BODY_BYTES_MAX}")
    if not 0 < expires_ms - issued_ms <= LIFETIME_MS_MAX:
        raise ValueError(f"a message lives more than 0 and at most {LIFETIME_MS_MAX} ms")
    if not (1 <= session <= _NUMBER_MAX and 1 <= sequence <= _NUMBER_MAX):
        raise ValueError(f"session and sequence count from 1 to at most {_NUMBER_MAX}")
    nonce = nonce or os.urandom(_NONCE_BYTES)
    header = _HEADER.pack(
        _MAGIC,
        _VERSION,
        key.suite,
        key.direction,
        kind,
        0,
        key.epoch,
        key.instance_id.bytes,
        session,
        sequence,
        issued_ms,
        expires_ms,
        nonce,
    )
    return header + key.cipher.encrypt(nonce, body, header)


def open_envelope(
    data: object,
    keys: KeyFinder,
    direction: Direction,
    *,
    now_ms: int,
    instance_id: UUID | None = None,
    suites: frozenset[Suite] = DEFAULT_SUITES,
) -> Message:
    """Verify and open; says nothing yet about whether the message was seen before (`Window.check`).

    `instance_id` is a guest's own: what is meant for another is misdirected. The cheap checks come before any look-up
    of a key.

    Raises:
        EnvelopeError: for whatever else `data` may be.
    """
    if type(data) is not bytes or not OVERHEAD_BYTES <= len(data) <= ENVELOPE_BYTES_MAX:
        raise EnvelopeError("malformed")
    (
        magic,
        version,
        suite_no,
        direction_no,
        kind_no,
        zero,
        epoch,
        instance,
        session,
        sequence,
        issued_ms,
        expires_ms,
        nonce,
    ) = _HEADER.unpack_from(data)
    suite, kind = _SUITES.get(suite_no), _KINDS.get(kind_no)
    if magic != _MAGIC or version != _VERSION or zero or suite not in suites or kind is None:
        raise EnvelopeError("malformed")
    if direction_no not in _DIRECTIONS or not epoch:
        raise EnvelopeError("malformed")
    if not (1 <= session <= _NUMBER_MAX and 1 <= sequence <= _NUMBER_MAX):
        raise EnvelopeError("malformed")
    if direction_no != direction or (instance_id is not None and instance != instance_id.bytes):
        raise EnvelopeError("misdirected")
    _check_times(issued_ms, expires_ms, now_ms)
    key = keys.find(instance, epoch, direction, suite, now_ms)
    if key is None:
        raise EnvelopeError("unknown_key")
    try:
        body = key.cipher.decrypt(nonce, data[_HEADER.size :], data[: _HEADER.size])
    except InvalidTag:
        # Not chained: a traceback of the library's error would add nothing that may be logged.
        raise EnvelopeError("not_authentic") from None
    return Message(key.instance_id, direction, kind, epoch, session, sequence, issued_ms, expires_ms, body)


def _check_times(issued_ms: int, expires_ms: int, now_ms: int) -> None:
    """A message is believed from its issue, less the clocks' difference, to its expiry, and never for over a day."""
    if not 0 < expires_ms - issued_ms <= LIFETIME_MS_MAX:
        raise EnvelopeError("malformed")
    if issued_ms > now_ms + CLOCK_SKEW_MS:
        raise EnvelopeError("from_future")
    if expires_ms < now_ms:
        raise EnvelopeError("expired")
