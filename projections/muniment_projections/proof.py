"""The proof that two sets of rows are equal, row by row, with counts and digests to print and to keep."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, select

from muniment_projections.read_model import TIMELINE, Tables
from muniment_projections.row import OPEN

__all__ = ["Difference", "Disagreement", "Proof", "TableProof", "Values", "compare", "prove", "versions"]

Values = Mapping[str, object]
"""A row by column name."""

_Reading = Callable[[Connection, Table, int], Iterator[Values]]

_NAMED_MAX = 20
_PAGE = 1000


class Disagreement(StrEnum):
    """What is wrong with a row, seen from the log, which is right by definition."""

    ALTERED = "altered"
    MISSING = "missing"
    EXTRA = "extra"


class Difference(msgspec.Struct, frozen=True):
    """One row that is not what the log says."""

    table: str
    key: str
    """The id, and the log positions between which the row is valid; or the log position of an event."""
    kind: Disagreement
    columns: tuple[str, ...] = ()
    """Where an altered row differs."""

    def __str__(self) -> str:
        where = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"{self.table} {self.key}: {self.kind}{where}"


class TableProof(msgspec.Struct, frozen=True):
    """One table: rows and digest as found, and as the log says."""

    table: str
    rows: int
    expected_rows: int
    digest: str
    expected_digest: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison found, up to a log position."""

    position: int
    tables: tuple[TableProof, ...]
    differences: tuple[Difference, ...]
    """The first ones, by name."""
    differing: int
    """All of them."""

    @property
    def is_equal(self) -> bool:
        """Whether every row is what the log says."""
        return self.differing == 0

    @property
    def rows(self) -> int:
        """How many rows the log says there are."""
        return sum(table.expected_rows for table in self.tables)

    @property
    def digest(self) -> str:
        """One digest over all tables as found: equal read models of one log have equal ones, on every machine."""
        lines = (f"{table.table} {table.rows} {table.digest}\n" for table in self.tables)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class _Side:
    """Counts and digests the rows of one side as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()
        self._encoder = msgspec.msgpack.Encoder()

    def saw(self, row: Values) -> None:
        self.rows += 1
        self._hash.update(self._encoder.encode(list(row.values())))

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def prove(
    connection: Connection,
    found: Tables,
    expected: Tables,
    position: int,
    *,
    with_states: bool,
    progress: Callable[[str], None] = lambda table: None,
) -> Proof:
    """Compare two generations up to a log position; `with_states` when both stand exactly there.

    Versions that end behind the position count as open: that is what both sides said when they stood there.
    """
    pairs: list[tuple[str, Table, Table, _Reading]] = [
        (name, table, expected.rows[name], versions) for name, table in sorted(found.rows.items())
    ]
    pairs.append((TIMELINE, found.timeline, expected.timeline, _events))
    if with_states:
        pairs.append(("states", found.states, expected.states, _states))
    tables: list[TableProof] = []
    differences: list[Difference] = []
    differing = 0
    for name, left, right, read in pairs:
        progress(name)
        proof, different = compare(name, read(connection, left, position), read(connection, right, position))
        tables.append(proof)
        for difference in different:
            differing += 1
            if len(differences) < _NAMED_MAX:
                differences.append(difference)
    return Proof(position=position, tables=tuple(tables), differences=tuple(differences), differing=differing)


def compare(
    table: str, found: Iterable[Values], expected: Iterable[Values]
) -> tuple[TableProof, list[Difference]]:
    """Compare two sequences of rows, both in the order of their keys."""
    sides, differences = (_Side(), _Side()), list[Difference]()
    for left, right in _aligned(iter(found), iter(expected)):
        for side, row in zip(sides, (left, right), strict=True):
            if row is not None:
                side.saw(row)
        if left != right:
            differences.append(_difference(table, left, right))
    proof = TableProof(table, sides[0].rows, sides[1].rows, sides[0].digest, sides[1].digest)
    return proof, differences


def versions(
    connection: Connection, table: Table, position: int, keys: Collection[str] | None = None
) -> Iterator[Values]:
    """The row versions of a table as they stood at a log position, in the order of their keys; all, or of some `keys`."""
    statement = select(table).where(table.c.valid_from <= position)
    if keys is not None:
        statement = statement.where(table.c.key.in_(keys))
    for row in _stream(connection, statement.order_by(table.c.key, table.c.valid_to)):
        end = row["valid_to"]
        assert isinstance(end, int)
        yield {**row, "valid_to": OPEN} if end > position else row


def _events(connection: Connection, table: Table, position: int) -> Iterator[Values]:
    statement = select(table).where(table.c.position <= position)
    return _stream(connection, statement.order_by(table.c.position))


def _states(connection: Connection, table: Table, position: int) -> Iterator[Values]:
    return _stream(connection, select(table).order_by(table.c.stream_id))


def _stream(connection: Connection, statement: Select[*tuple[Any, ...]]) -> Iterator[Values]:
    result = connection.execute(statement).yield_per(_PAGE)
    names = tuple(result.keys())
    for row in result:
        yield dict(zip(names, row, strict=True))


def _aligned(
    left: Iterator[Values], right: Iterator[Values]
) -> Iterator[tuple[Values | None, Values | None]]:
    """Pairs of rows with the same key; None where one side has none."""
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and _key(a) < _key(b)):
            yield a, None
            a = next(left, None)
        elif a is None or _key(b) < _key(a):
            yield None, b
            b = next(right, None)
        else:
            yield a, b
            a, b = next(left, None), next(right, None)


def _key(row: Values) -> tuple[str | int, ...]:
    names = ("key", "valid_to") if "key" in row else ("position",) if "position" in row else ("stream_id",)
    found = tuple(row[name] for name in names)
    assert all(isinstance(value, str | int) for value in found)
    return found  # type: ignore[return-value]  # asserted in the line above


def _difference(table: str, found: Values | None, expected: Values | None) -> Difference:
    if found is None or expected is None:
        row, kind = (expected, Disagreement.MISSING) if found is None else (found, Disagreement.EXTRA)
        assert row is not None
        return Difference(table, _name(row), kind)
    columns = tuple(name for name in expected if found.get(name) != expected[name])
    return Difference(table, _name(expected), Disagreement.ALTERED, columns)


def _name(row: Values) -> str:
    if "key" in row:
        end = "now" if row["valid_to"] == OPEN else row["valid_to"]
        return f"{row['key']} from {row['valid_from']} to {end}"
    return f"at {row['position']}" if "position" in row else str(row["stream_id"])
