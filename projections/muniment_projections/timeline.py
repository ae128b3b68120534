"""The timeline: every event ready to be shown, as CloudEvents, with a cursor that misses nothing and repeats nothing."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Column, MetaData, Select, Table, bindparam, func, select

from muniment.domain.event import Event
from muniment.store.log import Logged
from muniment_projections.documents import encode, instant, split
from muniment_projections.folding import Fold
from muniment_projections.read_model import TIMELINE, ReadModel, define_timeline
from muniment_projections.row import joined, microseconds

__all__ = ["EVENTS_MAX", "Timeline", "TimelinePage", "timeline_row"]

EVENTS_MAX = 1000
"""The most events that one question is answered with."""

_FOR_ADMINISTRATORS = frozenset(
    {
        "details",
        "detail",
        "error",
        "reason",
        "facts",
        "resource_id",
        "server_id",
        "location",
        "key_id",
        "secret_ref",
    }
)
"""Members of event data, at any depth, that say something about our insides and nothing to an owner."""

_ENVELOPE = frozenset(Event.__struct_fields__)


class TimelinePage(NamedTuple):
    """Some events in log order, and the cursor with which the next question goes on."""

    joined: bytes
    """Their documents, with `BETWEEN` between them."""
    cursor: int
    """The position of the last event of the page, or the cursor that was asked with when there was none."""

    @property
    def documents(self) -> list[bytes]:
        """Their documents one by one."""
        return split(self.joined)


class Timeline:
    """Reads the history of a project, an instance or a stream."""

    def __init__(self, read_model: ReadModel) -> None:
        """Read from `read_model`."""
        self._read_model = read_model

    def page(
        self,
        *,
        project_id: str | None,
        after: int = 0,
        limit: int = EVENTS_MAX,
        instance_id: UUID | None = None,
        stream_id: UUID | None = None,
        as_of: int | None = None,
        is_admin: bool = False,
    ) -> TimelinePage:
        """At most `limit` events behind position `after`, up to `as_of`; `project_id` None is every project's.

        With `instance_id`: the events of the instance, of its operations and of its backups.
        """
        wanted: dict[str, object] = {
            "project_id": project_id,
            "instance_id": None if instance_id is None else str(instance_id),
            "stream_id": None if stream_id is None else str(stream_id),
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        statement = _page(is_admin, as_of is not None, tuple(given))
        values = {**given, "after": after, "as_of": as_of, "limit": max(1, min(limit, EVENTS_MAX))}
        row = self._read_model.row(statement, values)
        assert row is not None, "an aggregate always has a row"
        documents, last = row
        return TimelinePage(documents or b"", after if last is None else last)

    def position_at(self, at: datetime) -> int:
        """The position of the last event that had happened at a moment; 0 before the first.

        The log time never decreases, so `as_of` can be asked for by time as well.
        """
        row = self._read_model.row(_POSITION_AT, {"at_us": microseconds(at)})
        assert row is not None, "an aggregate always has a row"
        position: int = row[0]
        return position


def timeline_row(logged: Logged, fold: Fold | None) -> dict[str, object]:
    """An event as a row, with what its stream's fold tells about whose history it is part of."""
    event = logged.event
    instance_id = None if fold is None else fold.projection.instance_of(fold.state)
    data = {k: v for k, v in msgspec.to_builtins(event, str_keys=True).items() if k not in _ENVELOPE}
    envelope = _cloud_event(logged, None if fold is None else fold.projection.KIND, instance_id)
    owners = _for_owner(data)
    document = encode(envelope | {"data": owners})
    return {
        "position": logged.position,
        "at_us": microseconds(event.at),
        "project_id": event.project_id,
        "stream_id": str(event.originator_id),
        "instance_id": None if instance_id is None else str(instance_id),
        "topic": event.TOPIC,
        "document": document,
        "admin_document": document if data == owners else encode(envelope | {"data": data}),
    }


def _cloud_event(logged: Logged, kind: str | None, instance_id: UUID | None) -> dict[str, object]:
    event = logged.event
    return {
        "specversion": "1.0",
        "id": event.event_id,
        "source": f"/{kind or 'stream'}s/{event.originator_id}",
        "type": event.TOPIC,
        "time": instant(event.at),
        "datacontenttype": "application/json",
        "logposition": logged.position,
        "streamversion": event.originator_version,
        "projectid": event.project_id,
        "instanceid": instance_id,
        "actor": event.actor,
        "requestid": event.request_id,
        "causationid": event.causation_id,
        "digest": logged.digest.hex(),
    }


def _for_owner(value: object) -> object:
    if isinstance(value, dict):
        return {k: _for_owner(v) for k, v in value.items() if k not in _FOR_ADMINISTRATORS}
    if isinstance(value, list | tuple):
        return [_for_owner(v) for v in value]
    return value


_EVENTS: Table = define_timeline(MetaData(), TIMELINE)
_POSITION_AT = select(func.coalesce(func.max(_EVENTS.c.position), 0)).where(
    _EVENTS.c.at_us <= bindparam("at_us")
)


@lru_cache(maxsize=64)
def _page(is_admin: bool, has_end: bool, given: Sequence[str]) -> Select[bytes | None, int | None]:
    document: Column[bytes] = _EVENTS.c.admin_document if is_admin else _EVENTS.c.document
    statement = select(_EVENTS.c.position, document.label("shown")).where(
        _EVENTS.c.position > bindparam("after")
    )
    for name in given:
        statement = statement.where(_EVENTS.c[name] == bindparam(name))
    if has_end:
        statement = statement.where(_EVENTS.c.position <= bindparam("as_of"))
    page = statement.order_by(_EVENTS.c.position).limit(bindparam("limit")).subquery()
    return select(joined(page.c.shown), func.max(page.c.position))
