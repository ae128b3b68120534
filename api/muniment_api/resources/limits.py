"""Limits: what a project may have at most. No rates are limited, so there is only the absolute entry, the first."""

from starlette.responses import Response

from muniment_api.call import Call
from muniment_api.responses import JsonResponse
from muniment_api.route import Route

__all__ = ["ROUTES"]


def index(call: Call) -> Response:
    """The caller's own limits."""
    limits = call.services.quotas.limits(call.caller.project_id, defaults=call.services.default_limits)
    absolute: dict[str, object] = {"verb": "ABSOLUTE"}
    absolute |= {f"max_{resource}": limit for resource, limit in limits.items()}
    return JsonResponse({"limits": [absolute]})


ROUTES = (Route("GET", "/limits", "limits:index", index),)
