"""Version documents and health: what is answered without a token."""

import re
from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment_api.responses import JsonResponse
from muniment_api.settings import ApiSettings
from muniment_api.urls import base_url

__all__ = ["open_routes"]

Check = Callable[[], None]
"""Returns when a part works, raises a `Fault` that says what is wrong otherwise; quick."""

_ASKED_VERSION = re.compile(r"application/vnd\.openstack\.trove\+json\s*;\s*version=([^,;\s]+)")


def open_routes(settings: ApiSettings, checks: Mapping[str, Check]) -> list[Route]:
    """The routes that need no token."""

    def version(request: Request) -> dict[str, object]:
        links = [{"rel": "self", "href": f"{base_url(request, settings)}/v1.0/"}]
        return {"id": "v1.0", "status": "CURRENT", "updated": "2012-08-01T00:00:00Z", "links": links}

    async def versions(request: Request) -> Response:
        asked = _ASKED_VERSION.search(request.headers.get("accept", ""))
        if asked is not None and asked[1] not in ("1.0", "v1.0"):
            raise Refused(
                "version-not-served", f"Version {asked[1][:20]} is not served; v1.0 is.", status=406
            )
        return JsonResponse({"versions": [version(request)]})

    async def the_version(request: Request) -> Response:
        return JsonResponse({"version": version(request)})

    async def alive(request: Request) -> Response:
        return PlainTextResponse("OK")

    async def health(request: Request) -> Response:
        found = {name: await run_in_threadpool(_outcome, check) for name, check in checks.items()}
        well = all(outcome == "ok" for outcome in found.values())
        return JsonResponse({"status": "ok" if well else "failing", "checks": found}, 200 if well else 503)

    return [
        Route("/", versions),
        Route("/v1.0", the_version),
        Route("/v1.0/", the_version),
        Route("/healthcheck", alive),
        Route("/healthz", health),
    ]


def _outcome(check: Check) -> str:
    """Without the fault's words: whoever asks has shown no token."""
    try:
        check()
    except Fault:
        return "failing"
    return "ok"
