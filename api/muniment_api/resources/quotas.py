"""Quotas: what a project uses of its limits, for itself and for administrators, who set them."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from muniment.domain.quota import PROJECT_QUOTA, quota_id, set_limits
from muniment.domain.refused import NotFound
from muniment.store.reader import Reader
from muniment_api.call import Call
from muniment_api.commands import Decided
from muniment_api.responses import JsonResponse
from muniment_api.route import Route
from muniment_projections.quotas import quota_documents

__all__ = ["ROUTES"]

_PROJECT_CHARS_MAX = 255

Limit = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class QuotaUpdate(msgspec.Struct, frozen=True):
    """New limits by resource; null leaves one as it is."""

    quotas: Annotated[dict[str, Limit | None], msgspec.Meta(max_length=16)]


def show(call: Call) -> Response:
    """Limits, use and reservations of a project; another project's only to administrators."""
    project_id = _project_id(call)
    if project_id != call.caller.project_id:
        call.require("quota:show:all_projects")
    services = call.services
    limits = services.quotas.limits(project_id, defaults=services.default_limits)
    with services.ledger.reading() as reader:
        counted = reader.counted(project_id)
    return JsonResponse({"quotas": quota_documents(limits, counted)})


def update(call: Call) -> Response:
    """Set limits; the project need not exist. Answers with what was set."""
    project_id = _project_id(call)
    limits = {name: limit for name, limit in call.body(QuotaUpdate).quotas.items() if limit is not None}
    # The stream is the project's, whoever writes it.
    about = msgspec.structs.replace(call.about, project_id=project_id)

    def decide(reader: Reader) -> Decided:
        state = reader.load(PROJECT_QUOTA, quota_id(project_id))
        return set_limits(state, project_id, limits), ()

    call.services.commands.commit(about, decide)
    return JsonResponse({"quotas": limits})


def _project_id(call: Call) -> str:
    project_id = call.path("quota_project_id")
    if len(project_id) > _PROJECT_CHARS_MAX or not project_id.isprintable():
        raise NotFound("project", project_id[:_PROJECT_CHARS_MAX])
    return project_id


ROUTES = (
    Route("GET", "/mgmt/quotas/{quota_project_id}", "quota:show", show),
    Route("PUT", "/mgmt/quotas/{quota_project_id}", "quota:update", update),
)
