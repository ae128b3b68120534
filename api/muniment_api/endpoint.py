"""What happens to every request below a project, in this order: who, which project, may they, the body, the answer."""

import inspect
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from muniment.domain.refused import Refused
from muniment.secret import Secret
from muniment_api import policy
from muniment_api.auth.identity import Caller, Credentials, Identity
from muniment_api.bodies import json_content, read_content
from muniment_api.call import Call
from muniment_api.middleware import request_id_of
from muniment_api.route import Route
from muniment_api.services import Services
from muniment_api.settings import ApiSettings
from muniment_api.waiting import Waiting

__all__ = ["Endpoint", "credentials_of", "guarded", "nothing_here"]

Endpoint = Callable[[Request], Awaitable[Response]]

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def guarded(route: Route, identity: Identity, services: Services, settings: ApiSettings) -> Endpoint:
    """The Starlette endpoint of a route."""
    answer = _answerer(route)

    async def endpoint(request: Request) -> Response:
        caller = await caller_of(request, identity)
        policy.enforce(route.rule, caller)
        content = b""
        if request.method in _WITH_BODY:
            content = await read_content(request, bytes_max=settings.body_bytes_max)
            content = json_content(content, request.headers.get("content-type"))
        call = Call(caller, request, content, services, settings, request_id_of(request))
        return await answer(call)

    return endpoint


def nothing_here(identity: Identity) -> Endpoint:
    """The endpoint of every other path and method: 401 and 403 come before 404, as in Trove."""

    async def endpoint(request: Request) -> Response:
        await caller_of(request, identity)
        raise Refused("not-found", "The resource could not be found.", status=404)

    return endpoint


async def caller_of(request: Request, identity: Identity) -> Caller:
    """Authenticate a request below a project.

    Raises:
        Refused: 401, or 403 when the path names another project than the proof, for admins too.
    """
    caller = await identity.authenticate(credentials_of(request))
    named = unquote(request.path_params["project_id"])
    if not caller.project_id:
        raise Refused("forbidden", "The token is not scoped to a project.", status=403)
    if caller.project_id != named:
        raise Refused(
            "forbidden", "The project in the path is not the one you authenticated for.", status=403
        )
    return caller


def credentials_of(request: Request) -> Credentials:
    """What a request offers as proof."""
    return Credentials(
        token=_header(request, "x-auth-token"),
        authorization=_header(request, "authorization"),
        address=request.client.host if request.client is not None else "",
        project_id=unquote(request.path_params.get("project_id", "")),
    )


def _header(request: Request, name: str) -> Secret | None:
    value = request.headers.get(name)
    return None if value is None else Secret(value)


def _answerer(route: Route) -> Callable[[Call], Awaitable[Response]]:
    """How a route's handler is run; see `Handler`."""
    if inspect.iscoroutinefunction(route.handler):
        return cast(Callable[[Call], Awaitable[Response]], route.handler)
    if inspect.isgeneratorfunction(route.handler):
        process = cast(Callable[[Call], Waiting[Response]], route.handler)
        return lambda call: call.services.waiters.answer(call.caller.project_id, process(call))
    plain = cast(Callable[[Call], Response], route.handler)
    return lambda call: run_in_threadpool(plain, call)
