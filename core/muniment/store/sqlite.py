"""The recorder for SQLite: one file, several threads and processes, one writer at a time."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ConnectionPoolClosedError,
    Notification,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from muniment.fault import Fault
from muniment.store.append import Append
from muniment.store.chain import StoredRow, verify_stream
from muniment.store.conflict import Conflict
from muniment.store.events import head, log_rows, stream_rows
from muniment.store.recorder import Recorder
from muniment.store.state import SCHEMA_VERSION, TABLES
from muniment.store.transaction import Transaction
from muniment.store.wakeup import Wakeup

__all__ = ["SQLiteRecorder", "faults", "open_sqlite"]

LOCK_TIMEOUT_S = 30
"""How long a writer waits for other writers. A save takes milliseconds; this outlasts a checkpoint on a slow disk."""


class SQLiteRecorder(SQLiteApplicationRecorder, Recorder):
    """Keeps events and state tables in one SQLite database."""

    def __init__(self, datastore: SQLiteDatastore) -> None:
        """Use the connections of `datastore`, whose tables must be there."""
        super().__init__(datastore, events_table_name="events")
        self.wakeup = Wakeup()

    def construct_create_table_statements(self) -> list[str]:
        """None: the schema is made once, by `open_sqlite`, not by every process that starts."""
        return []

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """One save in one transaction; wakes those who wait for commits."""
        positions = super().insert_events(stored_events, **kwargs)
        self.wakeup.notify()
        return positions

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int]:
        append: Append = kwargs["append"]
        return append.run(c, stored_events)

    def reading(self) -> AbstractContextManager[SQLiteCursor]:
        """A transaction that reads one snapshot."""
        return self.datastore.transaction(commit=False)

    def writing(self) -> AbstractContextManager[SQLiteCursor]:
        """A transaction of state tables alone."""
        return self.datastore.transaction(commit=True)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of a stream, verified: the library's own way to read, beside `Ledger.load`."""
        assert isinstance(originator_id, UUID)
        with self.reading() as cursor:
            rows = stream_rows(Transaction(cursor, now_s=0), originator_id, lte=lte)
        verify_stream(rows)
        rows = [row for row in rows if row.version > (gt or 0)]
        return [
            StoredEvent(row.stream_id, row.version, row.topic, row.body)
            for row in rows[:: -1 if desc else 1][:limit]
        ]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events in log order: the library's own way to read, beside `Log.read`."""
        after = 0 if start is None else start - 1 if inclusive_of_start else start
        assert not topics, "a reader that filters never learns how far it came"
        with self.reading() as cursor:
            rows = log_rows(
                Transaction(cursor, now_s=0), after, limit, **({} if stop is None else {"until": stop})
            )
        return [_notification(row) for row in rows]

    def max_notification_id(self) -> int:
        """The position of the last event."""
        with self.reading() as cursor:
            return head(Transaction(cursor, now_s=0))

    def close(self) -> None:
        """Give the connections back."""
        self.datastore.close()


class _FileDatastore(SQLiteDatastore):
    """Connections to one database file: WAL, synchronous FULL, every write begins IMMEDIATE."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.pool.close()
        self.pool = _Pool(db_name=str(path), lock_timeout=LOCK_TIMEOUT_S, pool_timeout=LOCK_TIMEOUT_S)

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """A transaction that writes (and takes the one writer's place at once) or reads one snapshot."""
        with faults(), self.get_connection(commit=commit) as connection:
            cursor = connection.cursor()
            # A deferred transaction that turns to writing is refused at once if another wrote in between; an immediate
            # one waits for its turn.
            cursor.execute("BEGIN IMMEDIATE" if commit else "BEGIN")
            try:
                yield cursor
                if commit:
                    connection.commit()
            finally:
                # Nothing is open any more after a commit, so this undoes only what failed and what was only read.
                connection.rollback()
                cursor.sqlite_cursor.close()


class _Pool(SQLiteConnectionPool):
    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        cursor = connection.cursor()
        # secure_delete: a deleted key or secret must not live on in a free page.
        for pragma in ("synchronous = FULL", "secure_delete = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        return connection


@contextmanager
def faults() -> Iterator[None]:
    """Turn the database's exceptions into ours; a broken unique key is somebody else's row, so a `Conflict`."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Conflict(str(error)) from error
    except (PersistenceError, ConnectionPoolClosedError) as error:
        raise Fault("store", f"SQLite: {error}", retryable=isinstance(error, OperationalError)) from error
    except sqlite3.Error as error:
        raise Fault(
            "store", f"SQLite: {error}", retryable=isinstance(error, sqlite3.OperationalError)
        ) from error


def open_sqlite(path: Path) -> SQLiteRecorder:
    """Open the database file at `path`; if there is none, make it, mode 0600.

    Raises:
        Fault: it cannot be opened, is no database, or is one of another release's schema.
    """
    try:
        # Only a file that is new is opened here: closing a second descriptor of a database that this process uses
        # would drop the locks of all its connections.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        reason = f"{path}: the database cannot be made: {error.strerror}"
        raise Fault("store", reason, retryable=False) from error
    datastore = _FileDatastore(path)
    prepare(datastore, str(path))
    return SQLiteRecorder(datastore)


def prepare(datastore: SQLiteDatastore, name: str) -> None:
    """Make the tables if there are none, in one transaction that others who start at the same time wait for.

    Raises:
        Fault: the tables are of another schema version.
    """
    with datastore.transaction(commit=False) as cursor:
        found = _schema_version(Transaction(cursor, now_s=0))
    if found is None:
        with datastore.transaction(commit=True) as cursor:
            found = _make_schema(Transaction(cursor, now_s=0))
    if found != SCHEMA_VERSION:
        raise Fault(
            "store", f"{name}: schema version {found}; this release reads {SCHEMA_VERSION}", retryable=False
        )


def _schema_version(tx: Transaction) -> int | None:
    if tx.row("SELECT name FROM sqlite_master WHERE name = 'schema_version'") is None:
        return None
    row = tx.row("SELECT version FROM schema_version")
    return row["version"] if row else -1


def _make_schema(tx: Transaction) -> int:
    # Another process may have made it between the look and the lock.
    if (found := _schema_version(tx)) is not None:
        return found
    for statement in TABLES:
        tx.run(statement)
    tx.run("INSERT INTO schema_version (version) VALUES (:version)", {"version": SCHEMA_VERSION})
    return SCHEMA_VERSION


def _notification(row: StoredRow) -> Notification:
    return Notification(row.stream_id, row.version, row.topic, row.body, row.position)
