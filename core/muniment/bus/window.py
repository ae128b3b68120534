"""What a receiver has already heard from one sender: each message is fresh once.

Receiving has two steps. `check` says whether an opened message is fresh; the caller makes its effect durable together
with `accept(message).to_bytes()`. A message that comes again after a crash in between is therefore not a replay.
"""

from struct import Struct
from typing import Final

import msgspec

from muniment.bus.envelope import EnvelopeError, Message

__all__ = ["WINDOW_BITS", "Replayed", "Window"]

WINDOW_BITS: Final = 256
_ALL: Final = (1 << WINDOW_BITS) - 1
_STATE: Final = Struct(">BQQ32s")
_STATE_VERSION: Final = 1


class Replayed(EnvelopeError):
    """The message was accepted before, or is too old to tell. It is authentic: a stored reply may be sent again."""

    def __init__(self, message: Message) -> None:
        """Keep the message for whoever repeats its reply."""
        super().__init__("replayed")
        self.message = message


class Window(msgspec.Struct, frozen=True):
    """The sender's newest session, the highest sequence accepted in it, and which of the 256 below were.

    Bit k of `seen` stands for sequence `high - k`. Sessions only grow; a lower one is a rolled-back or cloned sender.
    """

    session: int = 0
    high: int = 0
    seen: int = 0

    def check(self, message: Message) -> int:
        """How many sequence numbers were skipped to get to this fresh message: reordering, or a loss.

        Raises:
            EnvelopeError: `stale_session`.
            Replayed: accepted before, or more than 256 behind.
        """
        if message.session < self.session:
            raise EnvelopeError("stale_session")
        if message.session > self.session:
            return message.sequence - 1
        behind = self.high - message.sequence
        if behind < 0:
            return -behind - 1
        if behind >= WINDOW_BITS or self.seen >> behind & 1:
            raise Replayed(message)
        return 0

    def accept(self, message: Message) -> "Window":
        """The window once `message`, which was checked against this one, has had its effect."""
        self.check(message)
        if message.session > self.session:
            return Window(message.session, message.sequence, 1)
        ahead = message.sequence - self.high
        if ahead <= 0:
            return Window(self.session, self.high, self.seen | 1 << -ahead)
        # A sender may jump any distance; a shift by it would build a number of that many bits.
        shifted = (self.seen << ahead) & _ALL if ahead < WINDOW_BITS else 0
        return Window(self.session, message.sequence, shifted | 1)

    def to_bytes(self) -> bytes:
        """49 bytes to keep."""
        return _STATE.pack(_STATE_VERSION, self.session, self.high, self.seen.to_bytes(32))

    @classmethod
    def from_bytes(cls, state: bytes) -> "Window":
        """The inverse of `to_bytes`."""
        assert len(state) == _STATE.size, f"a window's state has {_STATE.size} bytes, not {len(state)}"
        version, session, high, seen = _STATE.unpack(state)
        assert version == _STATE_VERSION, f"window state of version {version}"
        return cls(session, high, int.from_bytes(seen))

    @classmethod
    def heard_up_to(cls, session: int, high: int) -> "Window":
        """A window of which only the head was kept: everything at or below `high` counts as heard."""
        return cls(session, high, _ALL)
