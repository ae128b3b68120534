"""Whatever arrives as a body or a page, the caller's mistake is a 4xx with one key, never an error of ours."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from muniment.domain.refused import Refused
from muniment.secret import Secret
from muniment_api.bodies import (
    AccountName,
    Bit,
    Cidr,
    FlavorRef,
    HostPattern,
    Name,
    SizeGiB,
    Uuid,
    decode,
    json_content,
)
from muniment_api.paging import page_of


class Volume(msgspec.Struct):
    """A part of a body."""

    size: SizeGiB


class Everything(msgspec.Struct):
    """A body with every type of value there is, each optional."""

    name: Name | None = None
    account: AccountName | None = None
    flavor: FlavorRef | None = None
    volume: Volume | None = None
    bit: Bit | None = None
    host: HostPattern | None = None
    cidrs: Annotated[list[Cidr], msgspec.Meta(max_length=4)] = []
    id: Uuid | None = None
    password: Secret | None = None


FIELDS = Everything.__struct_fields__

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["size", "x"]), inner, max_size=2)
    ),
)


def _status_of(attempt: Callable[[], object]) -> int:
    """200, or the status of the refusal; anything else that is raised fails the test."""
    try:
        attempt()
    except Refused as refused:
        return refused.status
    return 200


@settings(deadline=None)
@given(body=st.dictionaries(st.sampled_from(FIELDS), values))
def test_any_json_is_taken_or_refused(body: dict[str, Any]) -> None:
    """Fields of any type and size are decoded or refused with 400."""
    assert _status_of(lambda: decode(msgspec.json.encode(body), Everything)) in (200, 400)


@settings(deadline=None)
@given(content=st.binary())
@example(content=b'{"name": "\\ud800"}')
@example(content=b'{"name": "\xff"}')
@example(content=b'{"volume": {"size": 1e999}}')
@example(content=b'{"volume": {"size": ' + b"9" * 5000 + b"}}")
@example(content=b'{"x": ' + b"[" * 100_000)
@example(content=b'{"x": "' + b"[" * 100_000)
@example(content=b"\x00")
def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    """Bytes that are no JSON are refused with 400."""
    assert _status_of(lambda: decode(content, Everything)) in (200, 400)


@given(content=st.binary(min_size=1), kind=st.text())
def test_any_content_type_is_json_or_refused(content: bytes, kind: str) -> None:
    """A content type is JSON in UTF-8 or 415."""
    assert _status_of(lambda: json_content(content, kind)) in (200, 415)


@given(
    limit=st.none() | st.text() | st.integers().map(str),
    marker=st.none() | st.text() | st.integers().map(str),
)
@example(limit="²", marker="²")
@example(limit="٣", marker="٣")
def test_any_page_is_bounded_or_refused(limit: str | None, marker: str | None) -> None:
    """A limit and a marker make a page within its bounds, or 400."""
    sent = {name: value for name, value in (("limit", limit), ("marker", marker)) if value is not None}

    def attempt() -> None:
        page = page_of(QueryParams(sent), size=20, size_max=50)
        assert 1 <= page.limit <= 50
        assert page.offset >= 0

    assert _status_of(attempt) in (200, 400)
