"""Errors as Trove's clients read them: one key that depends on the status, with `code` and `message` inside."""

import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from uuid import uuid4

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment.store.chain import BrokenChain
from muniment.store.conflict import NotSaved
from muniment_api.responses import JsonResponse

__all__ = ["FAULT_KEYS", "Render", "fault_handlers", "trove_fault", "unexpected"]

log = structlog.get_logger(__name__)

FAULT_KEYS: Mapping[int, str] = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    406: "notAcceptable",
    408: "requestTimeout",
    409: "conflict",
    413: "overLimit",
    415: "badMediaType",
    422: "unprocessableEntity",
    429: "tooManyRequests",
    500: "instanceFault",
    501: "notImplemented",
    503: "serviceUnavailable",
}

Render = Callable[[Request, int, str, Mapping[str, str]], Response]
"""Makes the answer for a status, a message and headers; Trove's and Keystone's bodies differ."""


def trove_fault(request: Request, status: int, message: str, headers: Mapping[str, str]) -> Response:
    """The fault body of Trove. A method that a path does not know is a 404 there: Trove has no 405."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        status, message, headers = 404, "The resource could not be found.", {}
    key = FAULT_KEYS.get(status, "badRequest" if status < 500 else "instanceFault")
    detail: dict[str, object] = {"code": status, "message": message}
    if "Retry-After" in headers:
        detail["retryAfter"] = headers["Retry-After"]
    return JsonResponse({key: detail}, status, headers)


def fault_handlers(render: Render) -> dict[type[Exception], ExceptionHandler]:
    """Starlette's exception handlers for what a handler may raise on purpose."""

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return render(request, error.status, error.message, _headers_of(error))

    def refused_by_starlette(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = "The resource could not be found." if error.status_code == 404 else error.detail
        return render(request, error.status_code, message, dict(error.headers or {}))

    def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, Fault)
        return _world_failed(request, error, render)

    def overtaken(request: Request, error: Exception) -> Response:
        assert isinstance(error, NotSaved)
        log.warning("request met other writers", reason=str(error))
        message = "Others are changing this at the moment; nothing was done, try again."
        return render(request, 503, message, {"Retry-After": "1"})

    def broken(request: Request, error: Exception) -> Response:
        assert isinstance(error, BrokenChain)
        return _history_broken(request, error, render)

    return {
        Refused: refused,
        HTTPException: refused_by_starlette,
        Fault: failed,
        NotSaved: overtaken,
        BrokenChain: broken,
    }


def unexpected(request: Request, error: Exception, render: Render = trove_fault) -> Response:
    """500 for a bug: the caller gets an opaque id, the log gets the same id with the traceback."""
    error_id = str(uuid4())
    # Formatted here, since a console renderer may print the frames' local values, among them passwords.
    log.error("request failed", error_id=error_id, traceback="".join(traceback.format_exception(error)))
    message = f"The server has met an error that is ours; in its log it has the id {error_id}."
    return render(request, 500, message, {})


def _world_failed(request: Request, error: Fault, render: Render) -> Response:
    """503 for what a later try may find mended, 500 otherwise; the details stay in the log, they name our insides."""
    error_id = str(uuid4())
    log.error("request met a fault", error_id=error_id, port=error.port, reason=error.message)
    if error.retryable:
        message = f"The {error.port} does not answer at the moment; try again later (id {error_id})."
        return render(request, 503, message, {"Retry-After": "5"})
    return render(request, 500, f"The {error.port} has failed; in the log it has the id {error_id}.", {})


def _history_broken(request: Request, error: BrokenChain, render: Render) -> Response:
    """500: nothing that such a history says can be believed, and only an operator can do something about it."""
    error_id = str(uuid4())
    log.error(error.advice, error_id=error_id, reason=error.reason)
    message = f"The history of what was asked for is broken; the operator finds more in the log by the id {error_id}."
    return render(request, 500, message, {})


def _headers_of(error: Refused) -> dict[str, str]:
    retry_after_s = error.details.get("retry_after_s")
    return {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
