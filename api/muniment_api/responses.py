"""Answers: JSON by msgspec, and the two that have no body."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

__all__ = ["JsonResponse", "accepted", "no_content"]

_ENCODER = msgspec.json.Encoder()


class JsonResponse(Response):
    """A JSON answer; parts that are JSON already travel as `msgspec.Raw` and are not encoded again."""

    media_type = "application/json"

    def __init__(
        self, content: object, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Encode `content` right away."""
        super().__init__(content, status_code, headers)

    def render(self, content: object) -> bytes:
        """The body."""
        return _ENCODER.encode(content)


def accepted() -> Response:
    """202 with an empty body that still says it is JSON, as every client of Trove has learned to read."""
    return Response(status_code=202, media_type="application/json")


def no_content() -> Response:
    """204."""
    return Response(status_code=204)
