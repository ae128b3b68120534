"""The port between the ledger and a database; SQLite and memory have adapters here, and one contract test suite."""

from abc import abstractmethod
from contextlib import AbstractContextManager

from eventsourcing.persistence import ApplicationRecorder

from muniment.store.transaction import Cursor
from muniment.store.wakeup import Wakeup

__all__ = ["Recorder"]


class Recorder(ApplicationRecorder):
    """Where events and state tables are kept.

    `insert_events(drafts, append=…)` runs one save: all of it is durable when that returns, or nothing of it happened.
    When it raises `Fault`, the database failed, and whether the save happened is unknown until its batch id is looked
    up.
    """

    wakeup: Wakeup
    """Told of every commit of this process; those of others are seen by looking."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Cursor]:
        """A transaction that reads one snapshot."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Cursor]:
        """A transaction of state tables alone, committed at the end of the block unless it raises."""

    @abstractmethod
    def close(self) -> None:
        """Give the connections back."""
