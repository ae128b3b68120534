"""The database of the read models: a file (or database) of its own, which may be deleted at any time.

Tables carry the number of their generation (`instances_v3`); queries go through views without one (`instances`), which
are pointed at the live generation in one transaction. The code is the same for SQLite and PostgreSQL.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVarTuple
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    inspect,
    text,
)
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.schema import CreateTable

from muniment.fault import Fault
from muniment_projections import generations
from muniment_projections.documents import encode
from muniment_projections.engine import BEGIN, memory_engine, sqlite_engine
from muniment_projections.generations import GENERATIONS, Generation
from muniment_projections.prepared import Prepared
from muniment_projections.projection import AnyProjection

__all__ = [
    "STATES",
    "TIMELINE",
    "ReadModel",
    "ReadModelMissing",
    "ReadModelOfAnotherRelease",
    "Tables",
    "define_timeline",
]

Ts = TypeVarTuple("Ts")

TIMELINE = "timeline"
STATES = "states"
TIMELINE_FORM = 1


class Tables:
    """The tables of one generation."""

    def __init__(self, projections: Sequence[AnyProjection], number: int) -> None:
        """Define them; nothing is made yet."""
        self.metadata = MetaData()
        self.rows = {
            table.name: table.define(self.metadata, f"{table.name}_v{number}")
            for projection in projections
            for table in projection.TABLES
        }
        self.timeline = define_timeline(self.metadata, f"{TIMELINE}_v{number}")
        self.states = _define_states(self.metadata, f"{STATES}_v{number}")

    @property
    def shown(self) -> dict[str, Table]:
        """The tables that queries see, by the name of their view."""
        return {**self.rows, TIMELINE: self.timeline}


class ReadModelMissing(Fault):
    """There are no read models here that this release can read. Whoever keeps them builds them anew from the log."""

    def __init__(self, message: str) -> None:
        """`message` says what there is instead."""
        super().__init__("read model", message, retryable=True)


class ReadModelOfAnotherRelease(ReadModelMissing):
    """The read models that are live here have another form."""


class ReadModel:
    """Opens the database, hands out transactions, and knows which generation is live.

    Who keeps the read models up to date opens them with `open`, of whom there is one at a time. Everybody else only reads,
    with `existing`: a reader of another release must not replace what the keeper of this one shows.
    """

    def __init__(
        self, engine: Engine, projections: Sequence[AnyProjection], path: Path | None = None
    ) -> None:
        """Use `engine`, whose file is at `path`; nothing is made or changed."""
        self.projections = tuple(projections)
        self._engine = engine
        self._often: WeakKeyDictionary[Select[*tuple[Any, ...]], Prepared] = WeakKeyDictionary()
        self._form = _form(self.projections)
        self._path = path
        self._file = None if path is None else _identity(path)

    @classmethod
    def open(cls, path: Path, projections: Sequence[AnyProjection]) -> "ReadModel":
        """Open or make the file at `path`, mode 0600: it holds names in the clear. For the one who keeps it up to date.

        Read models of another form are dropped, to be filled from the log again.

        Raises:
            Fault: it cannot be opened, or is no database.
        """
        with _told(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            opened = cls(sqlite_engine(path), projections, path)
            opened._make(is_live=True, even_if_there=False)
            return opened

    @classmethod
    def existing(cls, path: Path, projections: Sequence[AnyProjection]) -> "ReadModel":
        """Open the file at `path` to read what another process shows; nothing is made or changed.

        Raises:
            ReadModelMissing: there are none.
            ReadModelOfAnotherRelease: what is there cannot be read.
            Fault: it cannot be opened, or is no database.
        """
        if not path.exists():
            raise ReadModelMissing(f"{path}: there are no read models yet")
        with _told(path):
            opened = cls(sqlite_engine(path), projections, path)
            try:
                opened.position()
            except BaseException:
                opened.close()
                raise
            return opened

    @classmethod
    def in_memory(cls, projections: Sequence[AnyProjection]) -> "ReadModel":
        """One that lasts as long as the object: for tests and for the simulator."""
        made = cls(memory_engine(), projections)
        made._make(is_live=True, even_if_there=False)
        return made

    def renew(self) -> int:
        """Drop whatever is there and begin a generation that is not live yet; returns its number.

        For the keeper, when somebody took the read models away. Readers find none until the new ones `go_live`: lists that
        fill up bit by bit would be believed.
        """
        self._engine.dispose()  # connections to a file that was deleted
        if self._path is not None:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._file = _identity(self._path)
        return self._make(is_live=False, even_if_there=True)

    def check(self) -> None:
        """See that what was opened is still there.

        Raises:
            ReadModelMissing: the file was deleted or replaced, or its tables are gone or another release's.
        """
        if self._path is not None and _identity(self._path) != self._file:
            raise ReadModelMissing(f"{self._path}: the file of the read models was taken away")
        self.position()

    def row(self, statement: Select[*Ts], values: Mapping[str, object]) -> tuple[*Ts] | None:
        """The one row of a statement that is asked often, or None; `values` are those of its parameters, by name.

        Keep the statement: it is known again by its identity.
        """
        prepared = self._often.get(statement)
        if prepared is None:
            prepared = self._often[statement] = Prepared(statement, self._engine.dialect, values)
        connection = self._engine.raw_connection()
        try:
            row: tuple[*Ts] | None = prepared.row(connection.cursor(), values)
            return row
        except sqlite3.OperationalError as error:
            _raise_missing(error)
            raise
        finally:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for statements that each see the newest committed rows."""
        with self._connected() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction whose statements all see the same rows."""
        with self._connected() as connection:
            connection = connection.execution_options(**{BEGIN: "BEGIN"})
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, and waits for other writers before its first statement."""
        with self._connected() as connection:
            connection = connection.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                yield connection

    def position(self) -> int:
        """The log position that the live read models have reached."""
        with self.reading() as connection:
            return self.live(connection).position

    def live(self, connection: Connection) -> Generation:
        """The live generation, as `connection` sees it.

        Raises:
            ReadModelMissing: there is none, or it is of another release.
        """
        found = generations.live(connection)
        if found is None:
            raise ReadModelMissing("the read models are being built anew from the log")
        if found.form != self._form:
            raise ReadModelOfAnotherRelease("the read models were made by another release of this program")
        return found

    def tables(self, number: int) -> Tables:
        """The tables of a generation."""
        return _tables(self.projections, number)

    def add_generation(self, connection: Connection, *, is_live: bool = False) -> Generation:
        """Make the empty tables of a new generation."""
        number = generations.highest(connection) + 1
        self.tables(number).metadata.create_all(connection, checkfirst=False)
        return generations.add(connection, number, self._form, is_live=is_live)

    def go_live(self, connection: Connection, number: int) -> None:
        """Point all views at a generation."""
        generations.make_live(connection, number)
        for view, table in self.tables(number).shown.items():
            connection.execute(text(f"DROP VIEW IF EXISTS {view}"))
            connection.execute(text(f"CREATE VIEW {view} AS SELECT * FROM {table.name}"))  # noqa: S608 - our names

    def drop_generation(self, connection: Connection, number: int) -> None:
        """Forget a generation that is not live."""
        self.tables(number).metadata.drop_all(connection)
        generations.remove(connection, number)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except OperationalError as error:
            _raise_missing(error.orig)
            raise

    def _make(self, *, is_live: bool, even_if_there: bool) -> int:
        with self.writing() as connection:
            GENERATIONS.create(connection, checkfirst=True)
            found = generations.live(connection)
            if found is not None and found.form == self._form and not even_if_there:
                return found.number
            _drop_everything(connection)
            GENERATIONS.create(connection, checkfirst=True)
            number = self.add_generation(connection, is_live=is_live).number
            if is_live:
                self.go_live(connection, number)
            return number


def define_timeline(metadata: MetaData, name: str) -> Table:
    """The table of all events, ready to be shown, under `name`."""
    return Table(
        name,
        metadata,
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("at_us", BigInteger, nullable=False),
        Column("project_id", String, nullable=False),
        Column("stream_id", String, nullable=False),
        Column("instance_id", String),
        Column("topic", String, nullable=False),
        Column("document", LargeBinary, nullable=False),
        Column("admin_document", LargeBinary, nullable=False),
        Index(f"{name}_by_project", "project_id", "position"),
        Index(f"{name}_by_stream", "stream_id", "position"),
        Index(f"{name}_by_instance", "instance_id", "position"),
        Index(f"{name}_by_time", "at_us", "position"),
    )


def _define_states(metadata: MetaData, name: str) -> Table:
    """Where each stream's fold stands, to go on from; without a state when nothing can follow."""
    return Table(
        name,
        metadata,
        Column("stream_id", String, primary_key=True),
        Column("kind", String, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("state", LargeBinary),
    )


@lru_cache(maxsize=16)
def _tables(projections: tuple[AnyProjection, ...], number: int) -> Tables:
    return Tables(projections, number)


@lru_cache(maxsize=16)
def _form(projections: tuple[AnyProjection, ...]) -> str:
    """What tables, documents and states look like, as a digest: another one is another release's read model."""
    digest = hashlib.sha256(b"timeline %d\n" % TIMELINE_FORM)
    for projection in projections:
        digest.update(b"%s %d\n" % (projection.KIND.encode(), projection.FORM))
        # Stored states of another shape could not be read, or worse, be misread.
        digest.update(encode(msgspec.json.schema(projection.state_type)))
    for table in Tables(projections, 0).metadata.sorted_tables:
        digest.update(str(CreateTable(table)).encode())
    return digest.hexdigest()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies at a path; None without one."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what cannot be opened, and that it may be deleted."""
    try:
        yield
    except (OSError, DatabaseError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.orig
        raise Fault(
            "read model",
            f"{path}: the read models cannot be opened: {reason}; the file may be deleted, it is built anew",
            retryable=False,
        ) from error


def _raise_missing(error: BaseException | None) -> None:
    """A table that is not there was taken away, or is not built yet; SQLite has no code of its own for it."""
    if "no such table" in str(error):
        raise ReadModelMissing("the read models are being built anew from the log") from error


def _drop_everything(connection: Connection) -> None:
    inspector = inspect(connection)
    if inspector.get_table_names() == [GENERATIONS.name]:
        GENERATIONS.drop(connection)
        return
    for view in inspector.get_view_names():
        connection.execute(text(f"DROP VIEW {connection.dialect.identifier_preparer.quote(view)}"))
    stored = MetaData()
    stored.reflect(connection)
    stored.drop_all(connection)
