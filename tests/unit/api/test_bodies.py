"""Values in bodies: what each type takes and refuses."""

import asyncio
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.types import Message

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
    flavor_id,
    read_content,
)

CASES: list[tuple[Any, list[object], list[object]]] = [
    (
        Name,
        ["a", "orders-db", "ü1", "a" * 255, "   7"],
        ["", "---", "ü", "a" * 256, "a\nb", "a\n", "a\x00", 7, None, ["a"]],
    ),
    (AccountName, ["app", "a" * 1024], ["", "%%", "a" * 1025, "a\tb", "a\n"]),
    (SizeGiB, [1, "7", 7.0, 2**31 - 1], [0, -1, True, 2**31, "x", "7.5", 1.5, "9" * 40, None]),
    (Bit, [True, False, 0, 1, "true", "0"], [2, "yes please", None, []]),
    (
        HostPattern,
        ["%", "10.20.%", "%.example.org", "a-b(c)"],
        ["", "%%%", "a b", "a\n", "a/b", "%a%b", "a" * 256],
    ),
    (FlavorRef, ["2", 2, "http://x/v1.0/p/flavors/2"], [-1, True, "", None, 2**63]),
    (
        Cidr,
        ["10.0.0.0/8", "10.1.2.3/8", "192.0.2.1", "2001:db8::/32"],
        ["10.0.0.0/33", "300.0.0.0/8", "", "x", 7],
    ),
    (
        Uuid,
        ["0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11", "0B5C3C0A-6A43-4A7E-9A35-3F9F2B1D7E11"],
        ["x", "0b5c", 7],
    ),
    (Secret, ["p", "ü" * 512], ["ü" * 513, 7, None]),
]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, good, _ in CASES for value in good])
def test_good_values_are_taken(kind: type[object], value: object) -> None:
    """What Trove and its clients send is accepted."""
    decode(msgspec.json.encode({"it": value}), msgspec.defstruct("Body", [("it", kind)]))


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, _, bad in CASES for value in bad])
def test_bad_values_are_400_with_their_place(kind: type[object], value: object) -> None:
    """What nobody can mean is refused, naming the field."""
    with pytest.raises(Refused, match=r"\$\.it\b|: it m(ust|ay) ") as refused:
        decode(msgspec.json.encode({"it": value}), msgspec.defstruct("Body", [("it", kind)]))
    assert refused.value.status == 400


def test_networks_are_brought_into_one_form() -> None:
    """Two ways to write one network are equal afterwards."""
    assert decode(b'"10.1.2.3/8"', Cidr) == "10.0.0.0/8"
    assert decode(b'"2001:DB8:0::/32"', Cidr) == "2001:db8::/32"


@pytest.mark.parametrize("ref", ["2", 2, "http://db/v1.0/p/flavors/2", "http://db/v1.0/p/flavors/2/"])
def test_flavor_is_what_follows_the_last_slash(ref: str | int) -> None:
    """An id, a number and a URL name the same flavor."""
    assert flavor_id(ref) == "2"


def test_depth_is_bounded_outside_of_strings() -> None:
    """Brackets inside of strings do not count; real nesting does, long before the interpreter minds."""
    assert decode(msgspec.json.encode(["[{" * 100, '\\"[']), list[str])
    assert decode(b"[" * 32 + b"]" * 32, list[Any])
    with pytest.raises(Refused, match="more than 32 levels"):
        decode(b"[" * 33 + b"]" * 33, list[Any])


class Chunks:
    """A body that arrives in pieces and does not say how long it will be."""

    def __init__(self, *messages: Message) -> None:
        self.left = list(messages)
        self.request = Request({"type": "http", "method": "POST", "headers": []}, self.receive)

    async def receive(self) -> Message:
        if not self.left:
            await asyncio.Event().wait()
        return self.left.pop(0)


def _piece(content: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": content, "more_body": more}


def test_body_in_pieces_is_put_together() -> None:
    """Pieces make one body, up to the bound."""
    chunks = Chunks(_piece(b"[1,"), _piece(b"2]", more=False))
    assert asyncio.run(read_content(chunks.request, bytes_max=5)) == b"[1,2]"


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([_piece(b"123"), _piece(b"456"), _piece(b"7", more=False)], 413),
        ([_piece(b"1")], 408),
        ([_piece(b"1"), {"type": "http.disconnect"}], 400),
    ],
    ids=["too much", "too slow", "cut off"],
)
def test_body_that_does_not_end_well_is_refused(messages: list[Message], status: int) -> None:
    """Too much is noticed as it arrives, too slow after the time limit, and a cut body is no body."""
    chunks = Chunks(*messages)
    with pytest.raises(Refused) as refused:
        asyncio.run(read_content(chunks.request, bytes_max=5, limit_s=0.01))
    assert refused.value.status == status


def test_password_is_not_seen_in_a_decoded_body() -> None:
    """A decoded password prints as stars."""
    body = decode(b'{"it": "hunter2"}', msgspec.defstruct("Body", [("it", Secret)]))
    assert "hunter2" not in repr(body)


class _User(msgspec.Struct):
    name: Name
    host: HostPattern = "%"


class _Named(msgspec.Struct):
    name: Name
    users: list[_User] = []


class _Whole(msgspec.Struct):
    instance: _Named


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"instance": {"name": ""}}', "Validation error: name must not be empty"),
        (b'{"instance": {}}', "Validation error: name is missing"),
        (
            b'{"instance": {"name": "a", "users": [{"name": ""}]}}',
            "Validation error: instance.users[0].name must be text with at least 1 characters or items",
        ),
        (
            b'{"instance": {"name": "--"}}',
            "Validation error: name must hold a letter or digit of ASCII, and no control characters",
        ),
        (
            b'{"instance": {"name": "a", "users": [{"name": "b"}, {"name": "c\\n"}]}}',
            "Validation error: $.instance.users[1].name must hold a letter or digit of ASCII, and no control characters",
        ),
        (
            b'{"instance": {"name": "a", "users": [{"name": "b", "host": "a b"}]}}',
            (
                "Validation error: $.instance.users[0].host may hold letters, digits, dots, dashes, underscores and "
                "parentheses, and a % at either end"
            ),
        ),
        (b'{"instance": {"name": 7}}', "Validation error: instance.name must be text, not a whole number"),
    ],
)
def test_the_commonest_mistakes_are_told_in_words(content: bytes, told: str) -> None:
    """What is empty or missing is named as people call it; the rest is told with its place."""
    with pytest.raises(Refused) as refused:
        decode(content, _Whole)
    assert refused.value.message == told
