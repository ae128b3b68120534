"""The recorder that forgets: the same SQLite in memory, for unit tests and for the simulator, one process long."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore

from muniment.store.sqlite import SQLiteRecorder, faults, make_schema

__all__ = ["open_memory"]


def open_memory() -> SQLiteRecorder:
    """A new, empty store that lasts as long as its recorder."""
    datastore = _MemoryDatastore()
    make_schema(datastore)
    return SQLiteRecorder(datastore)


class _MemoryDatastore(SQLiteDatastore):
    """One connection that all threads take in turn; the library's pool costs more than a save does here."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._cursor = SQLiteCursor(self._connection.cursor())
        self._lock = RLock()

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """A transaction that nobody else sees into."""
        with faults(), self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._cursor
                if commit:
                    self._connection.commit()
            finally:
                self._connection.rollback()

    def close(self) -> None:
        """Forget everything."""
        super().close()
        self._connection.close()
