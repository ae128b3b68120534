"""The chain: every event carries a digest over itself and its predecessor in the stream, so that no event of the middle
can be edited, removed or moved unseen. A stream that is cut at its tail, or missing whole, is not seen by the chain.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

__all__ = ["GENESIS", "BrokenChain", "StoredRow", "digest", "verify_link", "verify_row", "verify_stream"]

GENESIS = bytes(32)
"""What the first event of a stream has for its predecessor's digest."""


class StoredRow(NamedTuple):
    """An event as it is stored."""

    position: int
    stream_id: UUID
    version: int
    topic: str
    body: bytes
    previous: bytes
    digest: bytes


class BrokenChain(Exception):
    """The log was altered: an event is not what was appended, or not where. Nothing after it can be believed."""

    def __init__(self, row: StoredRow, reason: str) -> None:
        """Name the event that does not fit and say why."""
        super().__init__(
            f"the log is broken at position {row.position}: version {row.version} of stream {row.stream_id} {reason}"
        )
        self.stream_id = row.stream_id
        self.version = row.version
        self.position = row.position
        self.reason = reason

    @property
    def advice(self) -> str:
        """The one line for an operator."""
        return f"the history is broken at position {self.position}; run muniment verify"


def digest(previous: bytes, stream_id: UUID, version: int, topic: str, body: bytes) -> bytes:
    """SHA-256 over the predecessor's digest and the event as stored (personal fields sealed)."""
    # The topic's length goes in, so that no other split of topic and body has the same bytes.
    name = topic.encode()
    header = b"%b%b%b%b" % (
        previous,
        stream_id.bytes,
        version.to_bytes(8, "big", signed=True),
        len(name).to_bytes(4, "big"),
    )
    return hashlib.sha256(header + name + body).digest()


def verify_row(row: StoredRow) -> None:
    """Check that an event is what its digest was made over.

    Raises:
        BrokenChain: it is not.
    """
    if digest(row.previous, row.stream_id, row.version, row.topic, row.body) != row.digest:
        raise BrokenChain(row, "was altered")


def verify_link(row: StoredRow, before: StoredRow | None) -> None:
    """Check that an event follows `before`, or begins its stream.

    Raises:
        BrokenChain: it does not.
    """
    version, link, position = (before.version, before.digest, before.position) if before else (0, GENESIS, 0)
    if row.version != version + 1:
        raise BrokenChain(row, f"has no predecessor: version {row.version - 1} is missing")
    if row.previous != link:
        raise BrokenChain(row, "does not follow from its predecessor")
    if row.position <= position:
        raise BrokenChain(row, f"stands before its predecessor, which is at position {position}")


def verify_stream(rows: Sequence[StoredRow], *, before: StoredRow | None = None) -> None:
    """Check the events of one stream that follow `before`, else from its first.

    Raises:
        BrokenChain: at the first that does not follow from its predecessor.
    """
    for row in rows:
        verify_link(row, before)
        verify_row(row)
        before = row
