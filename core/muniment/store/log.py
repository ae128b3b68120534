"""The log: all events in one order, which a reader that follows it sees without a gap."""

import time
from typing import NamedTuple

from muniment.domain.event import Event
from muniment.secrets.personal import PersonalCipher
from muniment.store.chain import verify_row
from muniment.store.events import head, log_rows
from muniment.store.mapper import decode_event
from muniment.store.personal_keys import StoredKeys
from muniment.store.recorder import Recorder
from muniment.store.transaction import Transaction

__all__ = ["Log", "Logged"]

POLL_S = 0.2
"""How often a waiting reader looks for events that other processes appended."""


class Logged(NamedTuple):
    """An event with its place in the log."""

    position: int
    event: Event
    digest: bytes


class Log:
    """Reads the log. Positions are drawn under the append lock, so a lower one never appears after a higher."""

    def __init__(self, recorder: Recorder, cipher: PersonalCipher, *, poll_s: float = POLL_S) -> None:
        """Read what `recorder` keeps, personal fields opened with `cipher`; `poll_s` is how often a waiting reader looks."""
        self._recorder = recorder
        self._cipher = cipher
        self._poll_s = poll_s

    def head(self) -> int:
        """The position of the last event; 0 while there is none."""
        with self._recorder.reading() as cursor:
            return head(Transaction(cursor, now_s=0))

    def read(self, after: int, limit: int) -> list[Logged]:
        """At most `limit` events behind position `after`, in order, each checked against its digest.

        Raises:
            BrokenChain: an event was altered.
            Fault: an event is of a topic that this release does not know.
        """
        with self._recorder.reading() as cursor:
            tx = Transaction(cursor, now_s=0)
            keys = StoredKeys(tx, self._cipher)
            found = []
            for row in log_rows(tx, after, limit):
                verify_row(row)
                found.append(Logged(row.position, decode_event(row.topic, row.body, keys), row.digest))
            return found

    def wait(self, after: int, timeout_s: float) -> bool:
        """Whether there are events behind `after`, waiting for them up to `timeout_s`.

        A save of this process wakes at once; those of others are seen within 0.2 s.
        """
        end = time.monotonic() + timeout_s
        while True:
            seen = self._recorder.wakeup.commits
            if self.head() > after:
                return True
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            self._recorder.wakeup.wait(seen, min(left_s, self._poll_s))
