"""Where clients reach us: links are made of the configured public endpoint, else of what the request was sent to."""

import re

from starlette.requests import Request

from muniment.domain.refused import Refused
from muniment_api.settings import ApiSettings

__all__ = ["base_url", "challenge"]

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


def base_url(request: Request, settings: ApiSettings) -> str:
    """Scheme, host and port without a slash at the end.

    Raises:
        Refused: 400, the Host header is not a host (it would end up in links that clients follow).
    """
    if settings.public_endpoint is not None:
        return settings.public_endpoint
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise Refused("bad-host", "The Host header is missing or not a host.", status=400)
    return f"{request.scope['scheme']}://{host}"


def challenge(request: Request, settings: ApiSettings) -> str:
    """The `WWW-Authenticate` of a 401: where a token is to be had. Never refused itself, whatever the Host header."""
    try:
        base = base_url(request, settings)
    except Refused:
        base = ""
    return f'Keystone uri="{base}/identity"'
