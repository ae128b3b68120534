"""Rows of read models: versions, each valid from one log position to another, the newest with an open end."""

from datetime import datetime
from enum import StrEnum

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    cast,
    desc,
    func,
)

from muniment.clock import seconds
from muniment_projections.documents import BETWEEN

__all__ = ["OPEN", "Row", "RowTable", "View", "joined", "microseconds"]

OPEN = 2**63 - 1
"""The end of a version that is still valid. A number, so that `as_of` is one comparison and every column has an index."""


class View(StrEnum):
    """Which ready-made document of a row is meant: as lists show it or in full, to its owner or to an administrator."""

    SUMMARY = "summary"
    DETAIL = "detail"
    ADMIN_SUMMARY = "admin_summary"
    ADMIN_DETAIL = "admin_detail"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one resource looks like from one event on, until its next row or for ever."""

    table: str
    key: str
    project_id: str
    created_us: int
    """When the resource came to be, in microseconds since 1970: what lists are ordered by."""
    facets: dict[str, str | None] = {}
    """What lists can be narrowed by."""
    documents: dict[View, bytes]

    def columns(self, valid_from: int, valid_to: int) -> dict[str, object]:
        """The version as values of its table's columns."""
        return {
            "key": self.key,
            "valid_from": valid_from,
            "valid_to": valid_to,
            "project_id": self.project_id,
            "created_us": self.created_us,
            **self.facets,
            **{view.value: document for view, document in self.documents.items()},
        }


class RowTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of row versions: its name, what it can be narrowed by, and the documents it has ready."""

    name: str
    views: tuple[View, ...]
    facets: tuple[str, ...] = ()

    def define(self, metadata: MetaData, name: str) -> Table:
        """The table under `name` (that of a generation, or of the view over the live one)."""
        created_us = Column("created_us", BigInteger, nullable=False)
        return Table(
            name,
            metadata,
            Column("key", String, primary_key=True),
            Column("valid_from", BigInteger, nullable=False),
            # In the key, so that there is one open version, and a look-up by id is one step also with a long history.
            Column("valid_to", BigInteger, primary_key=True),
            Column("project_id", String, nullable=False),
            created_us,
            *(Column(facet, String) for facet in self.facets),
            *(Column(view.value, LargeBinary, nullable=False) for view in self.views),
            Index(f"{name}_by_project", "project_id", "valid_to", desc(created_us), "key"),
            Index(f"{name}_by_age", "valid_to", desc(created_us), "key"),
            *(
                Index(f"{name}_by_{facet}", facet, "valid_to", desc(created_us), "key")
                for facet in self.facets
            ),
        )

    def view(self, wanted: View) -> View:
        """The document that answers for `wanted`: where an administrator sees nothing more, there is only the owner's."""
        if wanted in self.views:
            return wanted
        plain = View(wanted.value.removeprefix("admin_"))
        return plain if plain in self.views else View.DETAIL


def joined(documents: ColumnElement[bytes]) -> ColumnElement[bytes | None]:
    """The documents of all rows in the order of the rows, `BETWEEN` between them; null without any row.

    The database joins them, since its driver gives up the interpreter's lock for each row that it hands over, and in a busy
    process waits for it as often.
    """
    return cast(func.aggregate_strings(documents, BETWEEN), LargeBinary)


def microseconds(at: datetime | None) -> int:
    """A log time as the number that rows are ordered by; events in the log always have one."""
    assert at is not None, "an event from the log has a log time"
    return round(seconds(at) * 1_000_000)
