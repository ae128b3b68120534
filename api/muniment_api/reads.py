"""Reads by id: a miss is believed only once the read models tell all that the log held when it was noticed."""

from typing import TypeVar
from uuid import UUID

import msgspec

from muniment.domain.refused import NotFound
from muniment.store.ledger import Saved
from muniment_api.call import Call
from muniment_projections.collection import Collection
from muniment_projections.projection import Projection
from muniment_projections.row import View

__all__ = ["as_id", "document_of", "recorded_document", "view_for"]

S = TypeVar("S")

_READ_MODEL_LIMIT_S = 1.0


def as_id(text: str) -> UUID | None:
    """A UUID in a path, or None: then it may be a name, which is looked for by other means."""
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        return None


def view_for(call: Call, plain: View = View.DETAIL) -> View:
    """The view that the caller is shown: administrators see more."""
    if not call.caller.is_admin:
        return plain
    return {View.SUMMARY: View.ADMIN_SUMMARY, View.DETAIL: View.ADMIN_DETAIL}[plain]


def document_of(
    call: Call, collection: Collection, what: str, key: str, *, project_id: str | None, view: View
) -> bytes:
    """The document of one resource, its holes not yet filled; `project_id` None looks in every project.

    Raises:
        NotFound: there is none, also not a moment later.
    """
    resource_id = as_id(key)
    if resource_id is None:
        raise NotFound(what, key)
    found = collection.get(resource_id, project_id=project_id, view=view)
    if found is None and _caught_up(call):
        found = collection.get(resource_id, project_id=project_id, view=view)
    if found is None:
        raise NotFound(what, key)
    return found


def recorded_document(projection: Projection[S], saved: Saved, stream_id: UUID, view: View) -> bytes:
    """The document of a resource as the save of this request began it, whatever has become of it since and however far the
    read models lag behind."""
    own = [event for event in saved.events if event.originator_id == stream_id]
    state = projection.aggregate.fold(None, own)
    assert state is not None, f"the save did not begin {projection.KIND} {stream_id}"
    (row,) = projection.rows(state)
    return row.documents[view]


def _caught_up(call: Call) -> bool:
    """Wait for what another process may just have written; tells whether there was anything to wait for."""
    head = call.services.ledger.log.head()
    return call.services.arrivals.wait_for(head, _READ_MODEL_LIMIT_S)
