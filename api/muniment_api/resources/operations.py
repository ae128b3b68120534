"""Operations: what is being done and was done, with live steps. Ours, beyond Trove."""

from uuid import uuid4

import msgspec
from starlette.responses import Response

from muniment.clock import seconds
from muniment.domain.refused import Refused
from muniment.operations.cancel import cancel as ask_to_stop
from muniment.operations.catalogue import CATALOGUE
from muniment.store.reader import Reader
from muniment_api.call import Call
from muniment_api.commands import Decided
from muniment_api.paging import listing, page_of
from muniment_api.reads import as_id, document_of, view_for
from muniment_api.responses import JsonResponse
from muniment_api.route import Route
from muniment_api.starting import about_owner
from muniment_api.subjects import find_operation

__all__ = ["ROUTES"]

_STATES = {"running": "no", "ended": "yes"}


def index(call: Call) -> Response:
    """The project's operations, newest first; narrowed by `instance_id`, `backup_id`, and `state` (running, ended).

    Administrators who name an instance or backup see its operations, whosever it is.
    """
    facets: dict[str, str] = {}
    for name in ("instance_id", "backup_id"):
        if (text := call.query.get(name)) is not None:
            subject = as_id(text)
            if subject is None:
                raise Refused("bad-filter", f"{name} must be a UUID, not {text[:64]!r}", status=400)
            facets[name] = str(subject)
    everywhere = call.caller.is_admin and bool(facets)
    if (state := call.query.get("state")) is not None:
        if state not in _STATES:
            raise Refused("bad-filter", f"state is running or ended, not {state[:64]!r}", status=400)
        facets["has_ended"] = _STATES[state]
    page = page_of(call.query, size=call.settings.page_sizes.operations, size_max=1000)
    found = call.services.operations.page(
        project_id=None if everywhere else call.caller.project_id,
        view=view_for(call),
        limit=page.limit,
        marker=page.marker,
        facets=facets,
    )
    return listing(call, "operations", call.filled_list(found.joined), found.next_marker)


def show(call: Call) -> Response:
    """One operation with its steps."""
    return JsonResponse({"operation": _document(call)})


def cancel(call: Call) -> Response:
    """Ask a running operation to stop: what it did is undone. It answers at once, and a second request changes nothing."""
    services, key = call.services, call.path("operation_id")
    with services.ledger.reading() as reader:
        owner = find_operation(call, reader, key).project_id
    signal_id = uuid4()

    def decide(reader: Reader) -> Decided:
        operation = find_operation(call, reader, key)
        writes = ask_to_stop(
            operation,
            CATALOGUE[operation.kind],
            reader.signals(operation.id),
            signal_id=signal_id,
            now_s=seconds(services.clock.now()),
        )
        return (), writes

    services.commands.commit(about_owner(call, owner), decide)
    return JsonResponse({"operation": _document(call)}, 202)


def _document(call: Call) -> msgspec.Raw:
    document = document_of(
        call,
        call.services.operations,
        "operation",
        call.path("operation_id"),
        project_id=None if call.caller.is_admin else call.caller.project_id,
        view=view_for(call),
    )
    return call.filled(document)


ROUTES = (
    Route("GET", "/operations", "operation:index", index),
    Route("GET", "/operations/{operation_id}", "operation:show", show),
    Route("POST", "/operations/{operation_id}/cancel", "operation:cancel", cancel),
)
