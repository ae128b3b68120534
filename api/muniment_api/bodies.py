"""What requests may carry: bounded, typed, decoded leniently, and refused with the place of the mistake."""

import ipaddress
import re
from typing import Annotated, TypeVar
from uuid import UUID

import anyio
import msgspec
from starlette.requests import ClientDisconnect, Request

from muniment.domain.refused import Refused
from muniment.secret import Secret

__all__ = [
    "AccountName",
    "Bit",
    "Cidr",
    "FlavorRef",
    "HostPattern",
    "Name",
    "SizeGiB",
    "Uuid",
    "decode",
    "flavor_id",
    "json_content",
    "read_content",
]

T = TypeVar("T")

DEPTH_MAX = 32
_PASSWORD_BYTES_MAX = 1024
_WORD = r"^[^0-9A-Za-z\x00-\x1f\x7f]*[0-9A-Za-z][^\x00-\x1f\x7f]*\Z"
"""No control characters, at least one ASCII letter or digit. The first part stops at it, so that nothing is tried twice; `$`
would let a line feed pass at the end."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=_WORD)]
"""Trove's `nestr`: 1 to 255 characters, no control characters, at least one ASCII letter or digit."""

AccountName = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=_WORD)]
"""Trove's `name`, for accounts; the datastore's driver says what is really allowed."""

FlavorRef = Name | Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
"""A flavor by id, by number or by URL; `flavor_id` takes it apart."""

SizeGiB = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
"""A number of GiB; digits in a string will do, `true` will not."""

Bit = bool
"""`true`, `false`, 0 or 1, also in a string."""

_HOST = r"^%?[\w(\-).]*%?\Z"
HostPattern = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=_HOST)]
"""Where an account may come from: word characters, dots, dashes, parentheses, a `%` at either end."""

Uuid = UUID
"""An id of ours, in any case of letters."""


class Cidr(str):
    """An IPv4 or IPv6 network such as `10.20.0.0/16`, in its canonical form; a single address is a network of one."""

    __slots__ = ()


def flavor_id(ref: str | int) -> str:
    """The id in a flavor reference: itself, or what follows the last slash of a URL."""
    return str(ref).rstrip("/").rsplit("/", 1)[-1]


async def read_content(request: Request, *, bytes_max: int, limit_s: float = 30) -> bytes:
    """The body of a request.

    Raises:
        Refused: 413 beyond `bytes_max` (noticed before it is read, where the length is told); 408 after `limit_s`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > bytes_max:
        raise _too_large(bytes_max)
    content = bytearray()
    try:
        with anyio.fail_after(limit_s):
            async for chunk in request.stream():
                content += chunk
                if len(content) > bytes_max:
                    raise _too_large(bytes_max)
    except TimeoutError as error:
        message = f"The body did not arrive within {limit_s:g} s."
        raise Refused("body-too-slow", message, status=408) from error
    except ClientDisconnect as error:
        raise Refused("body-cut", "The body ended early.", status=400) from error
    return bytes(content)


def json_content(content: bytes, content_type: str | None) -> bytes:
    """The body as far as it counts: JSON in UTF-8. Without a content type a body is ignored, as Trove does.

    Raises:
        Refused: 415, it is of another kind.
    """
    if not content or content_type is None:
        return b""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        value.strip("\"' ") for name, _, value in (p.partition("=") for p in parameters) if name == "charset"
    ]
    if kind != "application/json" or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise Refused("bad-media-type", "Send the body as application/json in UTF-8.", status=415)
    return content


def decode(content: bytes, kind: type[T]) -> T:
    """Decode a JSON body into `kind`, leniently (`"7"` is a number, unknown keys are ignored where the type says so).

    Raises:
        Refused: 400, not JSON, nested too deep, or not of that shape; the message names the place.
    """
    if not content:
        raise _invalid("The request needs a JSON body.")
    _check_depth(content)
    try:
        return msgspec.json.decode(content, type=kind, strict=False, dec_hook=_special)
    except msgspec.ValidationError as error:
        raise _invalid(f"Validation error: {_plainly(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid("The body is not valid JSON in UTF-8.") from error


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def _check_depth(content: bytes) -> None:
    if content.count(b"{") + content.count(b"[") <= DEPTH_MAX:
        return
    depth = 0
    for byte in _STRING.sub(b"", content):
        if byte in b"{[":
            depth += 1
            if depth > DEPTH_MAX:
                raise _invalid(f"The body is nested more than {DEPTH_MAX} levels deep.")
        elif byte in b"}]":
            depth -= 1


_EMPTY = re.compile(r"Expected `str` of length >= 1 - at `\$(?:\.\w+)?\.(\w+)`")
_MISSING = re.compile(r"Object missing required field `(\w+)`(?: - at `\$\.\w+`)?")
"""Only of what the body is about: deeper down, in lists above all, the field's name does not say which one it is."""


_FORM = re.compile(r"Expected `str` matching regex (?P<form>'.*')(?: - at `(?P<place>[^`]*)`)?", re.DOTALL)
_FORMS = {
    repr(_WORD): "must hold a letter or digit of ASCII, and no control characters",
    repr(_HOST): "may hold letters, digits, dots, dashes, underscores and parentheses, and a % at either end",
}
_EXPECTED = re.compile(
    r"Expected `(?P<kinds>[\w| ]+)`(?: (?P<limit>(?:of length )?[<>]=? -?\d+))?(?:, got `(?P<got>\w+)`)?"
    r"(?: - at `(?P<place>[^`]*)`)?"
)
_LIMIT = re.compile(r"(of length )?([<>]=?) (-?\d+)")
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "uuid": "an id",
    "null": "null",
}
_OUTER = re.compile(r"\$(?:\.\w+)?\.(\w+)")


def _plainly(told: str) -> str:
    """The commonest mistakes in words; all others as the decoder tells them, with their place."""
    if (found := _FORM.fullmatch(told)) and found["form"] in _FORMS:
        place = found["place"] or "the body"
        outer = _OUTER.fullmatch(place)
        return f"{outer[1] if outer else place} {_FORMS[found['form']]}"
    if found := _EMPTY.fullmatch(told):
        return f"{found[1]} must not be empty"
    if found := _MISSING.fullmatch(told):
        return f"{found[1]} is missing"
    if found := _EXPECTED.fullmatch(told):
        place = (found["place"] or "$").removeprefix("$").removeprefix(".") or "the body"
        wanted = " or ".join(_KINDS.get(kind, kind) for kind in found["kinds"].split(" | "))
        got = f", not {_KINDS.get(found['got'], found['got'])}" if found["got"] else ""
        return f"{place} must be {wanted}{_limit(found['limit'])}{got}"
    return told


def _limit(told: str | None) -> str:
    """`>= 1` or `of length <= 255`, in words."""
    if told is None:
        return ""
    kind, sign, number = _LIMIT.fullmatch(told).groups()  # type: ignore[union-attr]  # the same form as in _EXPECTED
    if kind is not None:
        return f" with {'at least' if sign == '>=' else 'at most'} {number} characters or items"
    words = {">=": "of {} or more", "<=": "of {} or less", "<": "of less than {}", ">": "of more than {}"}
    return " " + words[sign].format(number)


def _special(kind: type, value: object) -> object:
    """Decode the types that msgspec does not know; a ValueError becomes a validation error with its place."""
    if not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    if kind is Secret:
        if len(value.encode()) > _PASSWORD_BYTES_MAX:
            raise ValueError(f"Expected at most {_PASSWORD_BYTES_MAX} bytes")
        return Secret(value)
    if kind is Cidr:
        return Cidr(ipaddress.ip_network(value[:64], strict=False))
    raise NotImplementedError(kind)


def _invalid(message: str) -> Refused:
    return Refused("bad-request", message, status=400)


def _too_large(bytes_max: int) -> Refused:
    return Refused("body-too-large", f"The body may have at most {bytes_max} bytes.", status=413)
