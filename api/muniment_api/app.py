"""The REST API as one application, made from everything it needs."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from muniment_api.auth.identity import Identity
from muniment_api.endpoint import guarded, nothing_here
from muniment_api.faults import Render, fault_handlers, trove_fault
from muniment_api.middleware import EncodedPath, LastNet, RequestIds
from muniment_api.resources.catalogue import ROUTES
from muniment_api.route import Route
from muniment_api.services import Services
from muniment_api.settings import ApiSettings
from muniment_api.urls import challenge
from muniment_api.versions import Check, open_routes

__all__ = ["create_app"]


def create_app(
    *,
    identity: Identity,
    services: Services,
    settings: ApiSettings,
    checks: Mapping[str, Check],
    identity_app: ASGIApp | None = None,
    routes: Sequence[Route] = ROUTES,
    new_id: Callable[[], UUID] = uuid4,
) -> Starlette:
    """The API. `identity_app` answers below `/identity` (the embedded Keystone surface); a cloud has its own Keystone.

    `checks` are what `/healthz` asks, by name.
    """
    project = "/v1.0/{project_id}"
    below = [
        StarletteRoute(
            project + route.path,
            guarded(route, identity, services, settings),
            methods=[route.method],
        )
        for route in routes
    ]
    every_method = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    rest = [
        StarletteRoute(path, nothing_here(identity), methods=every_method)
        for path in (project, project + "/{rest:path}")
    ]
    app = Starlette(
        routes=[*open_routes(settings, checks), *_identity_routes(identity_app), *below, *rest],
        middleware=[Middleware(RequestIds, new_id=new_id), Middleware(LastNet), Middleware(EncodedPath)],
        exception_handlers=dict(fault_handlers(_faults(settings))),
    )
    app.router.redirect_slashes = False
    return app


def _faults(settings: ApiSettings) -> Render:
    """Trove's fault bodies; with a 401 goes where a token is to be had."""

    def render(request: Request, status: int, message: str, headers: Mapping[str, str]) -> Response:
        if status == 401:
            headers = {**headers, "WWW-Authenticate": challenge(request, settings)}
        return trove_fault(request, status, message, headers)

    return render


def _identity_routes(identity_app: ASGIApp | None) -> list[StarletteRoute]:
    """Hand everything below `/identity` on with its path untouched, so that both forms of a slash arrive there."""
    if identity_app is None:
        return []
    return [StarletteRoute(path, identity_app) for path in ("/identity", "/identity/{rest:path}")]
