"""The recorder for SQLite: one file, several threads and processes, one writer at a time."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
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

from muniment.durable_file import sync_folder
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
        return append.run(c.sqlite_cursor, stored_events)

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
    """Open the ledger at `path`; if there is no file, make it, mode 0600.

    Raises:
        Fault: it cannot be opened, holds no ledger, or one of another release's schema.
    """
    if not path.exists():
        _make_file(path)
    datastore = _FileDatastore(path)
    with datastore.transaction(commit=False) as cursor:
        found = _schema_version(Transaction(cursor, now_s=0))
    if found is None:
        raise Fault("store", f"{path}: the file holds no ledger", retryable=False)
    if found != SCHEMA_VERSION:
        raise Fault(
            "store", f"{path}: schema version {found}; this release reads {SCHEMA_VERSION}", retryable=False
        )
    return SQLiteRecorder(datastore)


def make_schema(datastore: SQLiteDatastore) -> None:
    """Make all tables in an empty database."""
    with datastore.transaction(commit=True) as cursor:
        tx = Transaction(cursor, now_s=0)
        for statement in TABLES:
            tx.run(statement)
        tx.run("INSERT INTO schema_version (version) VALUES (:version)", {"version": SCHEMA_VERSION})


def _schema_version(tx: Transaction) -> int | None:
    if tx.row("SELECT name FROM sqlite_master WHERE name = 'schema_version'") is None:
        return None
    row = tx.row("SELECT version FROM schema_version")
    return row["version"] if row else None


def _make_file(path: Path) -> None:
    """Make a whole ledger beside `path` and then give it that name, unless another process was first.

    Made in place, it would be seen half made, and of several processes that turn it to WAL some are refused at once
    (1 of 72 in our trial). Nor may a file that is in use be opened to set its mode: POSIX drops all locks of a process
    on a file when any descriptor of it is closed.
    """
    new = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(_FileDatastore(new)) as datastore:
            make_schema(datastore)
        with suppress(FileExistsError):
            os.link(new, path)
        sync_folder(path.parent)
    except OSError as error:
        reason = f"{path}: the database cannot be made: {error.strerror}"
        raise Fault("store", reason, retryable=False) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            new.with_name(new.name + suffix).unlink(missing_ok=True)


def _notification(row: StoredRow) -> Notification:
    return Notification(row.stream_id, row.version, row.topic, row.body, row.position)
