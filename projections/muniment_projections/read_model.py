"""The database of the read models: a file (or database) of its own, which may be deleted at any time.

Tables carry the number of their generation (`instances_v3`); queries go through views without one (`instances`), which
are pointed at the live generation in one transaction. The code is the same for SQLite and PostgreSQL.
"""

import hashlib
import os
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
from sqlalchemy.exc import DatabaseError
from sqlalchemy.schema import CreateTable

from muniment.fault import Fault
from muniment_projections import generations
from muniment_projections.documents import encode
from muniment_projections.engine import BEGIN, memory_engine, sqlite_engine
from muniment_projections.generations import GENERATIONS, Generation
from muniment_projections.prepared import Prepared
from muniment_projections.projection import AnyProjection

__all__ = ["STATES", "TIMELINE", "ReadModel", "Tables", "define_timeline"]

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


class ReadModel:
    """Opens the database, hands out transactions, and knows which generation is live."""

    def __init__(self, engine: Engine, projections: Sequence[AnyProjection]) -> None:
        """Use `engine`; a missing database is made, and one of another form is emptied, to be filled from the log."""
        self.projections = tuple(projections)
        self._engine = engine
        self._often: WeakKeyDictionary[Select[*tuple[Any, ...]], Prepared] = WeakKeyDictionary()
        self._form = _form(self.projections)
        self._prepare()

    @classmethod
    def open(cls, path: Path, projections: Sequence[AnyProjection]) -> "ReadModel":
        """Open or make the file at `path`, mode 0600: it holds names in the clear.

        Raises:
            Fault: it cannot be opened, or is no database.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return cls(sqlite_engine(path), projections)
        except (OSError, DatabaseError) as error:
            reason = error.strerror if isinstance(error, OSError) else error.orig
            raise Fault(
                "read model",
                f"{path}: the read models cannot be opened: {reason}; the file may be deleted, it is built anew",
                retryable=False,
            ) from error

    @classmethod
    def in_memory(cls, projections: Sequence[AnyProjection]) -> "ReadModel":
        """One that lasts as long as the object: for tests and for the simulator."""
        return cls(memory_engine(), projections)

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
        finally:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for statements that each see the newest committed rows."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction whose statements all see the same rows."""
        with self._engine.connect() as connection:
            connection = connection.execution_options(**{BEGIN: "BEGIN"})
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, and waits for other writers before its first statement."""
        with self._engine.connect() as connection:
            connection = connection.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                yield connection

    def position(self) -> int:
        """The log position that the live read models have reached."""
        with self.reading() as connection:
            return self.live(connection).position

    def live(self, connection: Connection) -> Generation:
        """The live generation, as `connection` sees it."""
        found = generations.live(connection)
        assert found is not None, "an open read model has a live generation"
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

    def _prepare(self) -> None:
        with self.writing() as connection:
            GENERATIONS.create(connection, checkfirst=True)
            found = generations.live(connection)
            if found is not None and found.form == self._form:
                return
            _drop_everything(connection)
            GENERATIONS.create(connection, checkfirst=True)
            self.go_live(connection, self.add_generation(connection, is_live=True).number)


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
