"""One end of the sealed conversation with one instance: numbers what it says, and hears each message once."""

from typing import Final
from uuid import UUID

from muniment.bus.envelope import EnvelopeError, Kind, Message, open_envelope, seal_envelope
from muniment.bus.suite import Direction, DirectionKey, KeyFinder, Suite
from muniment.bus.window import Window

__all__ = ["Endpoint", "next_session"]

_OTHER_WAY: Final = {
    Direction.TO_GUEST: Direction.TO_CONTROL,
    Direction.TO_CONTROL: Direction.TO_GUEST,
}


def next_session(last_used: int, now_ms: int) -> int:
    """The session of a sender that just started: it grows even when the clock was set back."""
    return max(last_used + 1, now_ms)


class Endpoint:
    """What an agent needs to talk: it alone numbers its messages, so it keeps session and sequence itself.

    The control side has many workers and numbers by its outbox rows instead; it uses the same parts one by one.
    """

    def __init__(
        self,
        keys: KeyFinder,
        instance_id: UUID,
        *,
        says: Direction,
        epoch: int,
        session: int,
        window: Window | None = None,
        suite: Suite = Suite.AES_256_GCM,
    ) -> None:
        """Speak in the direction `says` under key epoch `epoch`, from sequence 1 of `session`; hear the other way.

        `window` is what was kept of an earlier run.
        """
        self._keys = keys
        self._instance_id = instance_id
        self._says = says
        self._epoch = epoch
        self._suite = suite
        self._session = session
        self._sequence = 0
        self.window = window or Window()

    def seal(self, kind: Kind, body: bytes, *, now_ms: int, lifetime_ms: int) -> bytes:
        """Seal the next message.

        Raises:
            EnvelopeError: `unknown_key`, when the keys hold none for this epoch.
            ValueError: the body is too large, or the lifetime not within a day.
        """
        sealed = seal_envelope(
            body,
            self._key(now_ms),
            kind,
            session=self._session,
            sequence=self._sequence + 1,
            issued_ms=now_ms,
            expires_ms=now_ms + lifetime_ms,
        )
        # Counted once it is made: a body that is too large leaves no gap.
        self._sequence += 1
        return sealed

    def open(self, data: object, *, now_ms: int) -> Message:
        """Open a message that is authentic, meant for this end, in time and fresh. Call `accept` after its effect.

        Raises:
            EnvelopeError: for whatever else `data` may be; `Replayed` carries the authentic message.
        """
        message = open_envelope(
            data,
            self._keys,
            _OTHER_WAY[self._says],
            now_ms=now_ms,
            instance_id=self._instance_id,
            suites=frozenset({self._suite}),
        )
        self.window.check(message)
        return message

    def accept(self, message: Message) -> None:
        """Its effect is durable: from now on the message counts as heard."""
        self.window = self.window.accept(message)

    def _key(self, now_ms: int) -> DirectionKey:
        key = self._keys.find(self._instance_id.bytes, self._epoch, self._says, self._suite, now_ms)
        if key is None:
            raise EnvelopeError("unknown_key")
        return key
