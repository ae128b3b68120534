"""The page of errors: refusals found in the source, a guest's codes, and why messages are not believed."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

from docs.generator.markdown import GENERATED, code, paragraph, table
from docs.generator.source import field_docs, parsed

import muniment
import muniment_api
import muniment_projections
from muniment.bus.enrolment import EnrolmentReason
from muniment.bus.envelope import Reason
from muniment.contract.errors import Code, GuestError
from muniment.domain.refused import NotFound, Refused
from muniment_api.faults import FAULT_KEYS
from muniment_api.live import refusal_of

__all__ = ["Refusal", "errors_page", "refusals"]

_PACKAGES = (muniment, muniment_projections, muniment_api)
_STATUS_OTHERWISE = Refused("", "").status

_ENVELOPE: dict[str, str] = {
    "malformed": "it is no envelope: wrong length, magic, version, suite, kind or numbers",
    "unknown_key": "there is no key for its instance, epoch and direction",
    "not_authentic": "it was forged or altered",
    "misdirected": "it is for another instance, or for the other side",
    "expired": "it came after its time, by this side's clock",
    "from_future": "it was issued more than 120 s ahead of this side's clock",
    "stale_session": "its sender has started again since",
    "replayed": "it was heard before, or is too old for the window to tell",
}
_ENROLMENT: dict[str, str] = {
    "malformed": "it is no enrolment message",
    "not_authentic": "whoever made it does not know the token",
    "not_open": "nobody waits for this guest, or its time is over",
    "already_used": "the token was used by another request",
}


class Refusal(NamedTuple):
    """One place in the source that refuses."""

    code: str
    status: str
    message: str


def errors_page() -> str:
    """Every code that a caller, an operator or the author of a driver can meet."""
    return "\n\n".join(_lines()) + "\n"


def refusals() -> list[Refusal]:
    """Every refusal whose code stands in the source, each code with each status and message once."""
    found: set[Refusal] = set()
    for package in _PACKAGES:
        for path in sorted(_root(package).rglob("*.py")):
            if "kit" not in path.parts:
                found |= set(_in_file(path))
    return sorted(found)


def _lines() -> Iterator[str]:
    yield GENERATED
    yield "# Errors"
    yield "## Bodies"
    yield (
        "The REST API answers an error with one key, which the status decides, and in it `code` (the status) and `message`. "
        'For example 404: `{"itemNotFound": {"code": 404, "message": "..."}}`. A 429 or 503 has the header `Retry-After`.'
    )
    yield table(("status", "key"), ((str(status), code(key)) for status, key in FAULT_KEYS.items()))
    yield "## Refusals"
    yield (
        "What the caller can put right. Nothing was changed. The codes are stable names of the program; the REST API answers "
        "the status and the message. `…` stands for what the message names."
    )
    yield table(
        ("code", "status", "messages"),
        ((code(name), status, messages) for name, status, messages in _by_code()),
    )
    yield "## A guest's errors"
    yield (
        "How an op fails, for operations, agents and drivers. Where a request of the REST API asks the guest itself, the "
        "last column says what its caller gets."
    )
    docs = field_docs(Code)
    yield table(
        ("code", "means", "status"),
        ((code(member.value), paragraph(docs.get(member.name)), _status_of(member)) for member in Code),
    )
    yield "## Why a message is not believed"
    yield "An agent counts these in its beats, the control plane in its log. None is answered."
    yield _reasons(Reason, _ENVELOPE)
    yield "## Why an enrolment fails"
    yield _reasons(EnrolmentReason, _ENROLMENT)


def _by_code() -> Iterator[tuple[str, str, str]]:
    places = refusals()
    for name, status in sorted({(place.code, place.status) for place in places}):
        messages = [p.message for p in places if (p.code, p.status) == (name, status) and p.message]
        yield name, status, "; ".join(dict.fromkeys(messages))


def _reasons(kind: object, meanings: dict[str, str]) -> str:
    reasons: Iterable[str] = get_args(kind)
    assert set(reasons) == set(meanings), f"not the same words: {set(reasons) ^ set(meanings)}"
    return table(("reason", "means"), ((code(reason), meanings[reason]) for reason in reasons))


def _status_of(member: Code) -> str:
    answered = refusal_of(GuestError(code=member, message=""))
    return str(answered.status) if isinstance(answered, Refused) else "500"


def _root(package: ModuleType) -> Path:
    assert package.__file__ is not None
    return Path(package.__file__).parent


def _in_file(path: Path) -> Iterator[Refusal]:
    tree = parsed(path)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="Refused"), args=[ast.Constant(value=str(name)), *rest]):
                yield Refusal(name, _status(node), _message(tree, node, rest))
            case ast.Call(func=ast.Name(id="NotFound"), args=[what, _]):
                missing = NotFound("…", "…")
                yield Refusal(
                    missing.code, str(missing.status), f"{_message(tree, node, [what])} … cannot be found"
                )
            case ast.Call(func=ast.Name(id="_later"), args=[ast.Constant(value=str(name)), *rest]):
                yield Refusal(name, "503", _message(tree, node, rest))


def _status(call: ast.Call) -> str:
    for keyword in call.keywords:
        if keyword.arg == "status":
            return " or ".join(_numbers(keyword.value)) or "–"
    return str(_STATUS_OTHERWISE)


def _numbers(node: ast.expr) -> list[str]:
    return [str(part.value) for part in ast.walk(node) if isinstance(part, ast.Constant)]


def _message(tree: ast.Module, call: ast.Call, arguments: list[Any]) -> str:
    match arguments:
        case [ast.Name(id=name), *_] if (said := _assigned_above(tree, name, call.lineno)) is not None:
            return _message(tree, call, [said])
        case [ast.Constant(value=str(text)), *_]:
            return text
        case [ast.JoinedStr(values=values), *_]:
            return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in values)
        case [ast.BoolOp(values=values), *_]:
            return _message(tree, call, [values[-1]])
    return ""


def _assigned_above(tree: ast.Module, name: str, line: int) -> ast.expr | None:
    """What a name was last given before a line of the file."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and node.lineno < line
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        and isinstance(node.value, ast.Constant | ast.JoinedStr)
    ]
    return max(found, key=lambda node: node.lineno).value if found else None
