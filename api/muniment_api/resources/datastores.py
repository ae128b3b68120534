"""Datastores and their versions, by id or by name."""

import msgspec
from starlette.responses import Response

from muniment.domain.datastore import datastore_id
from muniment.domain.refused import NotFound
from muniment_api.call import Call
from muniment_api.paging import listing
from muniment_api.reads import as_id, document_of, view_for
from muniment_api.resources.flavors import index as every_flavor
from muniment_api.responses import JsonResponse
from muniment_api.route import Route
from muniment_projections.collection import Page
from muniment_projections.row import View

__all__ = ["ROUTES", "Shown", "datastore_named"]


class Shown(msgspec.Struct, frozen=True):
    """What the document of a datastore or version says of itself."""

    id: str
    name: str


def index(call: Call) -> Response:
    """Every datastore; tenants see those that have an active version."""
    facets = {} if call.caller.is_admin else {"has_active_version": "yes"}
    page = call.services.datastores.page(project_id=None, view=view_for(call), facets=facets)
    return listing(call, "datastores", call.filled_list(page.joined), None)


def show(call: Call) -> Response:
    """One datastore, with its active versions, to administrators too."""
    document = _datastore(call, call.path("datastore"))
    return JsonResponse({"datastore": call.filled(document)})


def versions(call: Call) -> Response:
    """The versions of a datastore; tenants see the active ones."""
    facets = {} if call.caller.is_admin else {"active": "yes"}
    page = _versions_of(call, _existing_key(call), facets)
    return listing(call, "versions", call.filled_list(page.joined), None)


def version(call: Call) -> Response:
    """One version of a datastore, also an inactive one."""
    return JsonResponse({"version": call.filled(_version(call))})


def version_by_id(call: Call) -> Response:
    """One version by its id alone."""
    version_id = call.path("version_id")
    collection = call.services.datastore_versions
    document = document_of(
        call, collection, "datastore version", version_id, project_id=None, view=view_for(call)
    )
    return JsonResponse({"version": call.filled(document)})


def flavors(call: Call) -> Response:
    """The flavors that a version runs on: every one, since none is bound to a version."""
    _version(call)
    return every_flavor(call)


def volume_types(call: Call) -> Response:
    """The volume types of a version: none, since no cloud of ours has any."""
    _version(call)
    return JsonResponse({"volume_types": []})


def datastore_named(call: Call, named: str) -> Shown:
    """The datastore with this id or name; NotFound when there is none."""
    return msgspec.json.decode(call.site.fill(_datastore(call, named)), type=Shown)


def _datastore(call: Call, named: str) -> bytes:
    """Ids are made of names, so that either leads there."""
    key = named if as_id(named) is not None else str(datastore_id(named))
    return document_of(call, call.services.datastores, "datastore", key, project_id=None, view=View.DETAIL)


def _existing_key(call: Call) -> str:
    return datastore_named(call, call.path("datastore")).id


def _versions_of(call: Call, datastore_key: str, facets: dict[str, str]) -> Page:
    facets = {**facets, "datastore_id": datastore_key}
    return call.services.datastore_versions.page(project_id=None, view=view_for(call), facets=facets)


def _version(call: Call) -> bytes:
    wanted = call.path("version")
    for document in _versions_of(call, _existing_key(call), {}).documents:
        shown = msgspec.json.decode(call.site.fill(document), type=Shown)
        if wanted in (shown.id, shown.name):
            return document
    raise NotFound("datastore version", wanted)


_VERSION = "/datastores/{datastore}/versions/{version}"

ROUTES = (
    Route("GET", "/datastores", "datastore:index", index),
    Route("GET", "/datastores/{datastore}", "datastore:show", show),
    Route("GET", "/datastores/versions/{version_id}", "datastore:version_show_by_uuid", version_by_id),
    Route("GET", "/datastores/{datastore}/versions", "datastore:version_index", versions),
    Route("GET", _VERSION, "datastore:version_show", version),
    Route("GET", f"{_VERSION}/flavors", "datastore:list_associated_flavors", flavors),
    Route("GET", f"{_VERSION}/volume-types", "datastore:list_associated_volume_types", volume_types),
)
