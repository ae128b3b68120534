"""Asking a read model: one resource by id, or a page of them, now or as of a log position."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, MetaData, Select, Table, bindparam, or_, select

from muniment.domain.refused import Refused
from muniment_projections.documents import split
from muniment_projections.read_model import ReadModel
from muniment_projections.row import OPEN, RowTable, View, joined

__all__ = ["PAGE_MAX", "Collection", "Page"]

PAGE_MAX = 1000
"""The most resources that one page holds, whatever is asked for."""


class Page(NamedTuple):
    """Some resources, newest first, and the marker of the next page when there is one."""

    joined: bytes
    """Their documents, with `BETWEEN` between them."""
    next_marker: str | None

    @property
    def documents(self) -> list[bytes]:
        """Their documents one by one."""
        return split(self.joined)


class Collection:
    """All resources of one table. Statements are made once for each form of question; every value is a parameter."""

    def __init__(self, read_model: ReadModel, table: RowTable) -> None:
        """Read `table` through the view over its live generation."""
        self._read_model = read_model
        self._spec = table
        self._table = table.define(MetaData(), table.name)
        self._one = lru_cache(maxsize=32)(self._make_one)
        self._page = lru_cache(maxsize=128)(self._make_page)
        self._mark = (
            select(self._table.c.created_us, self._table.c.project_id)
            .where(self._table.c.key == bindparam("key"))
            .limit(1)
        )

    def get(
        self, key: UUID | str, *, project_id: str | None, view: View, as_of: int | None = None
    ) -> bytes | None:
        """The document of one resource, or None if the project has no such thing; project None is every project's."""
        statement = self._one(self._spec.view(view), project_id is not None, as_of is not None)
        values = {"key": str(key), "project_id": project_id, "as_of": as_of}
        row = self._read_model.row(statement, values)
        return None if row is None else row[0]

    def page(
        self,
        *,
        project_id: str | None,
        view: View,
        limit: int = PAGE_MAX,
        marker: str | None = None,
        facets: Mapping[str, str] = {},
        as_of: int | None = None,
    ) -> Page:
        """At most `limit` resources behind `marker` (an id), in the order (created descending, id).

        The marker may have been deleted since: its place in the order stays known.

        Raises:
            Refused: 400, the marker is no resource of the project, nor ever was.
        """
        limit = max(1, min(limit, PAGE_MAX))
        values: dict[str, object] = {
            "project_id": project_id,
            "as_of": as_of,
            "limit": limit,
            "before_last": limit - 1,
            **facets,
        }
        if marker is not None:
            values |= {"marker_us": self._place_of(marker, project_id), "marker_key": marker}
        statement = self._page(
            self._spec.view(view),
            project_id is not None,
            marker is not None,
            as_of is not None,
            tuple(sorted(facets)),
        )
        row = self._read_model.row(statement, values)
        assert row is not None, "an aggregate always has a row"
        documents, last_key, following = row
        return Page(documents or b"", None if following is None else last_key)

    def _place_of(self, marker: str, project_id: str | None) -> int:
        """When the marker's resource came to be, in microseconds since 1970."""
        found = self._read_model.row(self._mark, {"key": marker})
        if found is None or (project_id is not None and found[1] != project_id):
            raise Refused("unknown-marker", f"marker {marker!r} is not known here", status=400)
        created_us: int = found[0]
        return created_us

    def _make_one(self, view: View, owned: bool, has_end: bool) -> Select[bytes]:
        c = self._table.c
        statement = select(c[view.value]).where(c.key == bindparam("key"), *_valid(self._table, has_end))
        return statement.where(c.project_id == bindparam("project_id")) if owned else statement

    def _make_page(
        self, view: View, owned: bool, has_marker: bool, has_end: bool, facets: tuple[str, ...]
    ) -> Select[bytes | None, str | None, str | None]:
        """One row: the documents of the page joined, its last key if it is full, and the key that follows it."""
        c = self._table.c
        wanted = list(_valid(self._table, has_end))
        if owned:
            wanted.append(c.project_id == bindparam("project_id"))
        for facet in facets:
            assert facet in self._spec.facets, f"{self._spec.name} cannot be narrowed by {facet}"
            wanted.append(c[facet] == bindparam(facet))
        if has_marker:
            wanted.append(c.created_us <= bindparam("marker_us"))
            wanted.append(or_(c.created_us < bindparam("marker_us"), c.key > bindparam("marker_key")))
        order = (c.created_us.desc(), c.key)
        page = select(c[view.value]).where(*wanted).order_by(*order).limit(bindparam("limit")).subquery()
        key = select(c.key).where(*wanted).order_by(*order).limit(1)
        return select(
            joined(page.c[view.value]),
            key.offset(bindparam("before_last")).scalar_subquery(),
            key.offset(bindparam("limit")).scalar_subquery(),
        )


def _valid(table: Table, has_end: bool) -> tuple[ColumnElement[bool], ...]:
    """The one version of each row that counts: the open one, or the one that was valid at a position."""
    if not has_end:
        return (table.c.valid_to == OPEN,)
    return (table.c.valid_from <= bindparam("as_of"), table.c.valid_to > bindparam("as_of"))
