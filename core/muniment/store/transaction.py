"""What a row change may do: run statements, inside the one transaction that also carries the events."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

__all__ = ["Cursor", "Parameters", "Row", "Transaction"]

Row = Mapping[str, Any]
"""One row by column name."""

Parameters = Mapping[str, object] | msgspec.Struct
"""Values for the `:name`s of a statement: a mapping, or a struct whose fields are the names."""

R = TypeVar("R", bound=msgspec.Struct)


class Cursor(Protocol):
    """What sqlite3's and psycopg's cursors have in common."""

    def execute(self, statement: str, parameters: Mapping[str, object]) -> object:
        """Run one statement."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows of the last statement."""
        ...


class Transaction:
    """An open transaction of the store.

    Statements are written once, for sqlite3 and psycopg alike: `:name` parameters, `RETURNING` to see what a guarded
    change did. Ids are kept as text.
    """

    def __init__(self, cursor: Cursor, *, now_s: float) -> None:
        """Run statements on `cursor`; `now_s` is the moment that due times and leases are compared with."""
        self._cursor = cursor
        self.now_s = now_s

    def run(self, statement: str, parameters: Parameters = {}) -> None:  # noqa: B006 - a constant, never changed
        """Run a statement whose rows do not matter."""
        self._cursor.execute(statement, _values(parameters))

    def rows(self, statement: str, parameters: Parameters = {}) -> Sequence[Row]:  # noqa: B006
        """All rows of a statement."""
        self._cursor.execute(statement, _values(parameters))
        return self._cursor.fetchall()

    def row(self, statement: str, parameters: Parameters = {}) -> Row | None:  # noqa: B006
        """The first row of a statement, if it has any."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    def structs(self, kind: type[R], statement: str, parameters: Parameters = {}) -> list[R]:  # noqa: B006
        """All rows of a statement as structs, whose fields must be columns."""
        rows = self.rows(statement, parameters)
        return [msgspec.convert(dict(row), kind, builtin_types=(bytes,)) for row in rows]

    def struct(self, kind: type[R], statement: str, parameters: Parameters = {}) -> R | None:  # noqa: B006
        """The first row of a statement as a struct, if it has any."""
        found = self.structs(kind, statement, parameters)
        return found[0] if found else None


@lru_cache(maxsize=256)
def _fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return kind.__struct_fields__


def _values(parameters: Parameters) -> Mapping[str, object]:
    if isinstance(parameters, msgspec.Struct):
        named: Mapping[str, object] = {name: getattr(parameters, name) for name in _fields(type(parameters))}
    else:
        named = parameters
    if UUID in map(type, named.values()):
        return {name: str(value) if type(value) is UUID else value for name, value in named.items()}
    return named
