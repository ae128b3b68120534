"""The ready-made JSON of a resource, with holes where the request shows through: host, project and what beats report.

A hole is one raw control byte. JSON escapes those in every text, so nothing that a tenant writes can look like a hole, and
filling a page of documents is a few passes of `bytes.replace` over the page.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

__all__ = [
    "BETWEEN", "Site", "VolumeUse", "encode", "gigabytes", "instant", "join", "links", "split", "timestamp",
    "volume",
]  # fmt: skip

BETWEEN = ",\n"
"""What stands between the documents of a page. JSON escapes the line's end in every text, so the parts are found again."""

_PROJECT_URL = b"\x01"
_BASE_URL = b"\x02"
_VOLUME_USE = b"\x03"

_GIB = 2**30
_encoder = msgspec.json.Encoder()


class VolumeUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a guest last reported about its data volume; it comes with beats, not with events."""

    used_bytes: int
    available_bytes: int

    def fragment(self) -> bytes:
        """The two members that go into an instance's `volume`, each with its comma in front."""
        writable = self.used_bytes + self.available_bytes
        percent = round(100 * self.used_bytes / writable, 2) if writable else 0.0
        return b',"used":%s,"used_percent":%s' % (
            _encoder.encode(gigabytes(self.used_bytes)),
            _encoder.encode(percent),
        )


class Site(msgspec.Struct, frozen=True):
    """Where the request came in: what links begin with, and the project in its path."""

    base_url: str
    """Scheme, host and port, without a slash at the end."""
    project_id: str

    def fill(self, documents: bytes, use: VolumeUse | None = None) -> bytes:
        """Fill the holes of one document or of several in a row; `use` belongs to one instance alone."""
        base = self.base_url.encode()
        project = b"%s/v1.0/%s" % (base, quote(self.project_id, safe="").encode())
        fragment = b"" if use is None else use.fragment()
        return (
            documents.replace(_PROJECT_URL, project).replace(_BASE_URL, base).replace(_VOLUME_USE, fragment)
        )

    def fill_list(self, documents: bytes) -> bytes:
        """A JSON array of the documents of a page, as they come: with `BETWEEN` between them."""
        return b"[%s]" % self.fill(documents)


def encode(document: object) -> bytes:
    """The JSON of a document."""
    return _encoder.encode(document)


def join(documents: Iterable[bytes]) -> bytes:
    """Documents as a page holds them.

    >>> join([b'{"name":"a"}', b'{"name":"b"}'])
    b'{"name":"a"},\\n{"name":"b"}'
    """
    return BETWEEN.encode().join(documents)


def split(documents: bytes) -> list[bytes]:
    """The documents of a page one by one.

    >>> split(b'{"name":"a"},\\n{"name":"b"}'), split(b"")
    ([b'{"name":"a"}', b'{"name":"b"}'], [])
    """
    return documents.split(BETWEEN.encode()) if documents else []


def links(collection: str, key: object) -> list[dict[str, object]]:
    """The two links of a resource such as `instances`, `<id>`."""
    path = f"{collection}/{quote(str(key), safe='')}".encode()
    return [
        {"href": msgspec.Raw(b'"%s/%s"' % (_PROJECT_URL, path)), "rel": "self"},
        {"href": msgspec.Raw(b'"%s/%s"' % (_BASE_URL, path)), "rel": "bookmark"},
    ]


def volume(size_gib: int, *, shows_use: bool) -> msgspec.Raw:
    """An instance's `volume`, with a hole for its use where that is shown."""
    return msgspec.Raw(b'{"size":%d%s}' % (size_gib, _VOLUME_USE if shows_use else b""))


def timestamp(at: datetime | None) -> str | None:
    """A moment as Trove writes it: naive UTC in whole seconds. Go clients refuse anything else.

    >>> timestamp(datetime(2026, 11, 22, 17, 52, 5, 999, tzinfo=UTC))
    '2026-11-22T17:52:05'
    """
    return None if at is None else _naive(at).isoformat(timespec="seconds")


def instant(at: datetime | None) -> str | None:
    """A moment as our own resources write it: RFC 3339 with microseconds, so that durations can be seen.

    >>> instant(datetime(2026, 11, 22, 17, 52, 5, 999, tzinfo=UTC))
    '2026-11-22T17:52:05.000999Z'
    """
    return None if at is None else _naive(at).isoformat(timespec="microseconds") + "Z"


def _naive(at: datetime) -> datetime:
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).replace(tzinfo=None)


def gigabytes(size_bytes: int) -> float:
    """Bytes in Trove's unit, two decimals; what is there at all is at least 0.01.

    >>> gigabytes(0), gigabytes(1), gigabytes(450971566)
    (0.0, 0.01, 0.42)
    """
    return max(round(size_bytes / _GIB, 2), 0.01) if size_bytes else 0.0
