"""Events: everything that happened, in the order of the log, as CloudEvents with a cursor. Ours, beyond Trove."""

from uuid import UUID

import msgspec
from starlette.responses import Response

from muniment.domain.refused import Refused
from muniment_api.call import Call
from muniment_api.paging import page_of
from muniment_api.reads import as_id
from muniment_api.responses import JsonResponse
from muniment_api.route import Route

__all__ = ["ROUTES"]

_POSITION_MAX = 2**62


def index(call: Call) -> Response:
    """The project's events after `cursor`; narrowed by `instance_id`, bounded by `as_of`; all projects' for an administrator
    who asks with `all_projects`. The answer's `cursor` is where the next question goes on, also when nothing is new."""
    everywhere = call.query.get("all_projects", "").lower() in ("true", "1", "yes")
    if everywhere:
        call.require("event:index:all_projects")
    page = call.services.timeline.page(
        project_id=None if everywhere else call.caller.project_id,
        after=_number(call, "cursor") or 0,
        as_of=_number(call, "as_of"),
        limit=page_of(call.query, size=call.settings.page_sizes.events).limit,
        instance_id=_instance_id(call),
        is_admin=call.caller.is_admin,
    )
    return JsonResponse({"events": msgspec.Raw(b"[%s]" % page.joined), "cursor": page.cursor})


def _number(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _POSITION_MAX):
        raise Refused("bad-number", f"{name} must be a whole number, not {text[:40]!r}", status=400)
    return int(text)


def _instance_id(call: Call) -> UUID | None:
    text = call.query.get("instance_id")
    if text is None:
        return None
    found = as_id(text)
    if found is None:
        raise Refused("bad-filter", f"instance_id must be a UUID, not {text[:64]!r}", status=400)
    return found


ROUTES = (Route("GET", "/events", "event:index", index),)
