"""Flavors: the sizes an instance may have."""

from starlette.responses import Response

from muniment.cloud.recipes import Flavor
from muniment.domain.refused import NotFound
from muniment_api.call import Call
from muniment_api.paging import listing
from muniment_api.responses import JsonResponse
from muniment_api.route import Route
from muniment_projections.documents import encode, join, links

__all__ = ["ROUTES", "flavor_document"]


def index(call: Call) -> Response:
    """Every flavor; never in pages."""
    documents = join(flavor_document(flavor) for flavor in call.services.flavors)
    return listing(call, "flavors", call.filled_list(documents), None)


def show(call: Call) -> Response:
    """One flavor by its id."""
    flavor_id = call.path("flavor_id")
    flavor = call.services.flavor(flavor_id)
    if flavor is None:
        raise NotFound("flavor", flavor_id)
    return JsonResponse({"flavor": call.filled(flavor_document(flavor))})


def flavor_document(flavor: Flavor) -> bytes:
    """A flavor as Trove shows it: `id` is a number where it looks like one, else null; `str_id` is always the id."""
    return encode(
        {
            "id": _number(flavor.id),
            "str_id": flavor.id,
            "name": flavor.name,
            "ram": flavor.ram_mib,
            "vcpus": flavor.vcpus,
            "disk": flavor.disk_gib,
            "ephemeral": flavor.ephemeral_gib,
            "links": links("flavors", flavor.id),
        }
    )


def _number(flavor_id: str) -> int | None:
    """Go clients read a number here; one with a leading zero would come back as another id."""
    is_number = flavor_id.isascii() and flavor_id.isdigit() and len(flavor_id) <= 18
    return int(flavor_id) if is_number and str(int(flavor_id)) == flavor_id else None


ROUTES = (
    Route("GET", "/flavors", "flavor:index", index),
    Route("GET", "/flavors/{flavor_id}", "flavor:show", show),
)
