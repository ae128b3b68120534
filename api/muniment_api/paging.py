"""Pages of lists: limit and marker in, `links` and `<collection>_links` out."""

import re
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams

from muniment.domain.refused import Refused
from muniment_api.call import Call
from muniment_api.responses import JsonResponse

__all__ = ["Page", "listing", "page_of"]

_MARKER_CHARS_MAX = 2048
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Page(msgspec.Struct, frozen=True):
    """A piece of a list: at most `limit` items, those after `marker` (from the start when there is none)."""

    limit: int
    marker: str | None = None

    @property
    def offset(self) -> int:
        """The marker of a list whose markers are decimal offsets.

        Raises:
            Refused: 400, it is none.
        """
        if self.marker is None:
            return 0
        if not (self.marker.isascii() and self.marker.isdigit() and len(self.marker) <= 9):
            raise _bad(f"Invalid marker {self.marker!r}: it must be a number of items.")
        return int(self.marker)


def page_of(query: QueryParams, *, size: int, size_max: int | None = None) -> Page:
    """The page that a query asks for: `size` items when it does not say, never more than `size_max` (else `size`).

    Raises:
        Refused: 400, the limit is not a positive number, or the marker is nothing that was ever given out.
    """
    text = query.get("limit")
    limit = size
    if text is not None:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and digits.strip("0")):
            raise _bad(f"Invalid limit {text[:40]!r}: it must be a whole number above 0.")
        limit = min(int(digits[:20]), size_max or size)
    marker = query.get("marker") or None
    if marker is not None and (len(marker) > _MARKER_CHARS_MAX or _CONTROL.search(marker)):
        raise _bad("The marker is too long or holds control characters.")
    return Page(limit, marker)


def listing(
    call: Call, collection: str, items: Sequence[object] | msgspec.Raw, next_marker: str | None
) -> JsonResponse:
    """A list answer; `items` may be JSON already.

    With a `next_marker` it links to the next page, under Trove's key and under gophercloud's.
    """
    body: dict[str, object] = {collection: items}
    if next_marker is not None:
        links = [{"rel": "next", "href": _next_href(call, next_marker)}]
        body["links"] = links
        body[f"{collection}_links"] = links
    return JsonResponse(body)


def _next_href(call: Call, marker: str) -> str:
    """This request's own address with another marker, which is percent-encoded once."""
    kept = [(key, value) for key, value in call.query.multi_items() if key != "marker"]
    return f"{call.base_url}{call.request.scope['path']}?{urlencode([*kept, ('marker', marker)])}"


def _bad(message: str) -> Refused:
    return Refused("bad-page", message, status=400)
