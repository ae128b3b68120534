"""Statements that are asked so often that they are compiled once and handed to the driver as they are.

Around a small answer SQLAlchemy's way through one statement costs more than the answer: of a page of 100 instances two
thirds of the time.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Dialect, Select
from sqlalchemy.engine.interfaces import DBAPICursor

__all__ = ["Prepared"]


class Prepared:
    """One statement for one kind of database. Parameters and columns are what every driver takes and gives as it is: text,
    numbers, bytes."""

    def __init__(
        self, statement: Select[*tuple[Any, ...]], dialect: Dialect, values: Mapping[str, object]
    ) -> None:
        """Compile `statement`; `values` of a first question tell its parameters from its constants."""
        compiled = statement.compile(dialect=dialect)
        expanded = compiled.construct_expanded_state(values)
        assert expanded.positiontup is not None, f"{dialect.name} takes parameters by name"
        self._text = expanded.statement
        self._names = tuple(expanded.positiontup)
        self._constants = {n: v for n, v in expanded.parameters.items() if n not in values}

    def row(self, cursor: DBAPICursor, values: Mapping[str, object]) -> Any:
        """The one row of the answer as a tuple, or None."""
        known = {**self._constants, **values}
        cursor.execute(self._text, [known[name] for name in self._names])
        # All rows, so that the statement is over and holds no snapshot that a checkpoint would wait for.
        rows = cursor.fetchall()
        assert len(rows) <= 1, "asked for one row"
        return rows[0] if rows else None
