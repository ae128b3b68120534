"""Generations: whole sets of read models side by side, one of them live, each with the log position it has reached.

All read models of a generation move together, in one transaction for each batch; so an instance and its operation never
contradict each other, and one position answers every "have you seen my write?".
"""

from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    true,
    update,
)

__all__ = [
    "GENERATIONS",
    "Generation",
    "add",
    "advance",
    "find",
    "highest",
    "idle",
    "live",
    "make_live",
    "remove",
]

_metadata = MetaData()
GENERATIONS = Table(
    "generations",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("form", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("is_live", Boolean, nullable=False),
)
_COLUMNS = (GENERATIONS.c.number, GENERATIONS.c.form, GENERATIONS.c.position, GENERATIONS.c.digest)
_live = select(*_COLUMNS).where(GENERATIONS.c.is_live == true())


class Generation(NamedTuple):
    """A set of read models: its number, the form of its tables, and the event up to which it tells the log."""

    number: int
    form: str
    position: int
    digest: bytes
    """Of the event at `position`; empty before the first. It tells this log from another."""


def live(connection: Connection) -> Generation | None:
    """The generation that queries read, if there is one."""
    row = connection.execute(_live).one_or_none()
    return None if row is None else Generation._make(row)


def find(connection: Connection, number: int) -> Generation | None:
    """A generation by its number."""
    row = connection.execute(select(*_COLUMNS).where(GENERATIONS.c.number == number)).one_or_none()
    return None if row is None else Generation._make(row)


def highest(connection: Connection) -> int:
    """The highest number in use; 0 without any."""
    found: int = connection.execute(select(func.coalesce(func.max(GENERATIONS.c.number), 0))).scalar_one()
    return found


def idle(connection: Connection) -> list[int]:
    """The numbers of those that are not live: rebuilds at work, or left over."""
    statement = select(GENERATIONS.c.number).where(GENERATIONS.c.is_live != true())
    return list(connection.execute(statement.order_by(GENERATIONS.c.number)).scalars())


def add(connection: Connection, number: int, form: str, *, is_live: bool) -> Generation:
    """Note a new generation, at the beginning of the log."""
    made = Generation(number, form, 0, b"")
    connection.execute(insert(GENERATIONS).values(**made._asdict(), is_live=is_live))
    return made


def advance(connection: Connection, before: Generation, position: int, digest: bytes) -> bool:
    """Move a generation on, if it still stands where `before` says. False: another projector moves it."""
    moved = (
        update(GENERATIONS)
        .where(GENERATIONS.c.number == before.number, GENERATIONS.c.position == before.position)
        .values(position=position, digest=digest)
    )
    return connection.execute(moved).rowcount == 1


def make_live(connection: Connection, number: int) -> None:
    """Let queries read this generation and no other."""
    connection.execute(update(GENERATIONS).values(is_live=GENERATIONS.c.number == number))


def remove(connection: Connection, number: int) -> None:
    """Forget a generation."""
    connection.execute(delete(GENERATIONS).where(GENERATIONS.c.number == number))
