"""SQLAlchemy engines for SQLite that begin transactions the way we say, not the way the driver guesses."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

__all__ = ["BEGIN", "memory_engine", "sqlite_engine"]

BEGIN = "muniment_begin"
"""The execution option that names the statement which begins the transaction; without it every statement is its own."""

LOCK_TIMEOUT_S = 30.0
"""How long a writer waits for another: longer than any batch of a rebuild takes."""
POOL_SIZE = 8
POOL_OVERFLOW = 56
"""Requests are served by a bounded number of threads; each needs a connection for the time of one query."""


def sqlite_engine(path: Path) -> Engine:
    """An engine on a file, for any number of threads and processes."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False},
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
    )
    # A lost last transaction after a power cut is read again from the log, rows and position alike; so NORMAL is enough.
    _begin_as_told(engine, ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"))
    return engine


def memory_engine() -> Engine:
    """An engine on a database that lives as long as the engine, for one thread at a time."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    _begin_as_told(engine, ())
    return engine


def _begin_as_told(engine: Engine, pragmas: tuple[str, ...]) -> None:
    def connected(connection: Any, _record: object) -> None:
        # The driver would begin transactions by itself, late and only before some statements.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    def begun(connection: Connection) -> None:
        statement = connection.get_execution_options().get(BEGIN)
        if statement is not None:
            connection.exec_driver_sql(statement)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
