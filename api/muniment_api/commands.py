"""A request that changes something: read, decide, save in one transaction, and answer once the read models tell it."""

from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from muniment.domain.event import About, Event
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger, Saved
from muniment.store.reader import Reader
from muniment.store.writes import Write
from muniment_projections.waiting import Arrivals

__all__ = ["Commands", "Decided"]

Decided = tuple[Sequence[Event], Sequence[Write]]
"""Events of any streams, and the rows that go with them."""

_TRIES = 20
_READ_MODEL_LIMIT_S = 1.0


class Commands:
    """Saves what requests decide. Safe to share between threads."""

    def __init__(self, ledger: Ledger, arrivals: Arrivals, *, new_id: Callable[[], UUID] = uuid4) -> None:
        """Save to `ledger`; wait for the read models with `arrivals`."""
        self._ledger = ledger
        self._arrivals = arrivals
        self._new_id = new_id

    def commit(self, about: About, decide: Callable[[Reader], Decided]) -> Saved:
        """Decide upon one consistent read and save; decide again when something moved in between.

        Afterwards it waits, for at most a second, until the read models have passed the save: who reads after the
        answer finds what they wrote.

        Raises:
            Refused: by the decider, or a quota would be exceeded; nothing was recorded.
            Conflict: other writers came first at every try.
            Fault: the store failed.
        """
        batch = self._new_id()
        for left in reversed(range(_TRIES)):
            with self._ledger.reading() as reader:
                events, writes = decide(reader)
            if not events and not writes:
                return Saved(0, ())
            try:
                saved = self._ledger.save(events, about, writes=writes, batch=batch)
            except Conflict:
                if left == 0:
                    raise
                continue
            self.told(saved.position)
            return saved
        raise AssertionError("at least one try")

    def told(self, position: int) -> None:
        """Wait, for at most a second, until the read models have passed a position."""
        self._arrivals.wait_for(position, _READ_MODEL_LIMIT_S)
