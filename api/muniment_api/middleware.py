"""Around every request: an id that all records and answers carry, exact paths, and a last net for bugs."""

import re
from collections.abc import Callable
from time import perf_counter
from uuid import UUID

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muniment_api.faults import unexpected

__all__ = ["EncodedPath", "LastNet", "RequestIds", "request_id_of"]

log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def request_id_of(request: Request) -> str:
    """The id of this request, `req-<uuid>`."""
    request_id = request.scope["muniment.request_id"]
    assert isinstance(request_id, str)
    return request_id


class RequestIds:
    """Gives each request an id, sends it back under both names that clients look for, and binds it to the log.

    An id that the caller sent under the same name is another service's; it is logged beside ours.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], UUID]) -> None:
        """Wrap `app`."""
        self.app = app
        self.new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = f"req-{self.new_id()}"
        scope["muniment.request_id"] = request_id
        began_s = perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Openstack-Request-Id"] = request_id
                headers["X-Compute-Request-Id"] = request_id
                _record(scope, message["status"], perf_counter() - began_s)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id, **_global_id(scope)):
            await self.app(scope, receive, send_with_id)


class LastNet:
    """Turns an exception that nobody expected into a 500 with an id, and logs it under that id."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            answer = unexpected(Request(scope, receive), error)
            if started:
                raise
            await answer(scope, receive, send)


class EncodedPath:
    """Routes by the path as it was sent, so that a name with an encoded slash stays one part of it."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope.get("raw_path"):
            scope["path"] = scope["raw_path"].decode("ascii", errors="replace")
        await self.app(scope, receive, send)


def _global_id(scope: Scope) -> dict[str, str]:
    sent = Headers(scope=scope).get("x-openstack-request-id", "")
    return {"global_request_id": sent} if _REQUEST_ID.fullmatch(sent) else {}


def _record(scope: Scope, status: int, duration_s: float) -> None:
    """One record a request; by route, since paths hold names that tenants chose."""
    level = log.debug if scope["method"] in ("GET", "HEAD") else log.info
    route = getattr(scope.get("route"), "path", "")
    level(
        "request answered",
        method=scope["method"],
        route=route,
        status=status,
        duration_s=round(duration_s, 4),
    )
