"""Settings: one TOML file decoded into structs, with overrides from the environment; nothing unknown passes silently."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from muniment.fault import Fault

__all__ = ["PREFIX", "read_settings"]

PREFIX = "MUNIMENT_"
"""`MUNIMENT_LISTEN_API` overrides the key `api` of the section `listen`, and so on downwards."""

T = TypeVar("T", bound=msgspec.Struct)

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$\.?(?P<place>[^`]*)`)?")
_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<place>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_EXPECTED = re.compile(
    r"Expected `(?P<kinds>[^`]+)`(?: (?P<sign>(?:of length )?[<>]=?) (?P<limit>\S+)|(?P<pattern> matching regex .*))?"
    r"(?:, got `(?P<got>[^`]+)`)?",
    re.DOTALL,
)
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a section",
}
_LIMITS = {
    ">=": " of {} or more",
    "<=": " of {} or less",
    ">": " of more than {}",
    "<": " of less than {}",
    "of length >=": " of at least {} characters or items",
    "of length <=": " of at most {} characters or items",
}


def read_settings(
    path: Path, kind: type[T], environment: Mapping[str, str], *, other_names: frozenset[str] = frozenset()
) -> T:
    """Decode a settings file as `kind`, a struct of sections that forbid unknown fields.

    An override is text: it serves keys that hold text, a number or a truth value. `other_names` are variables with our
    prefix that mean something else.

    Raises:
        Fault: the file cannot be read or is not TOML, a key or a variable is unknown, or a value does not fit; the
            message names the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _fault(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _fault(f"{path} is not TOML: {error}") from error
    settings = _convert(content, kind, str(path))
    overrides = _overrides(kind, environment, other_names)
    if not overrides:
        return settings
    for name, keys in overrides.items():
        # By itself first, so that an error names the variable; then all, since some only make sense together.
        _try_alone(content, kind, name, keys, environment[name])
    for name, keys in overrides.items():
        _put(content, keys, environment[name])
    return _convert(content, kind, ", ".join(overrides))


def _convert(content: dict[str, Any], kind: type[T], source: str) -> T:
    try:
        return msgspec.convert(content, kind, strict=False)
    except msgspec.ValidationError as error:
        if (unknown := _UNKNOWN.fullmatch(str(error))) is not None:
            key = ".".join(part for part in (unknown["place"], unknown["field"]) if part)
            raise _fault(f"{source}: the key {key} is unknown") from None
        wrong = _AT.fullmatch(str(error))
        assert wrong is not None
        place = wrong["place"] or "the file"
        raise _fault(f"{source}: {place}: {_in_words(wrong['what'], place, kind)}") from None


def _in_words(told: str, place: str, kind: type[msgspec.Struct]) -> str:
    """What a value must be, for people who know the file and not the types of a program."""
    if missing := _MISSING.fullmatch(told):
        return f"the key {missing['field']} is missing"
    wrong = _EXPECTED.fullmatch(told)
    if wrong is None:
        return told
    if wrong["pattern"] is not None:
        return f"must be {_described(kind, place) or 'of another form'}"
    wanted = " or ".join(_KINDS.get(name, name) for name in wrong["kinds"].split(" | "))
    got = f", not {_KINDS.get(wrong['got'], wrong['got'])}" if wrong["got"] else ""
    limit = _LIMITS[wrong["sign"]].format(wrong["limit"]) if wrong["sign"] else ""
    return f"must be {wanted}{limit}{got}"


def _described(kind: type[msgspec.Struct], place: str) -> str | None:
    """What the type of a key says of its own form, in the `description` beside the pattern."""
    held: Any = kind
    for name in place.split("."):
        section = _struct_in(held)
        if section is None:
            return None
        held = get_type_hints(section, include_extras=True).get(name)
    metas = (meta for part in (held, *get_args(held)) for meta in getattr(part, "__metadata__", ()))
    return next((meta.description for meta in metas if meta.description), None)


def _overrides(
    kind: type[msgspec.Struct], environment: Mapping[str, str], other_names: frozenset[str]
) -> dict[str, tuple[str, ...]]:
    keys = {PREFIX + "_".join(path).upper(): path for path in _leaves(kind)}
    wanted = sorted(name for name in environment if name.startswith(PREFIX) and name not in other_names)
    for name in wanted:
        if name not in keys:
            raise _fault(f"the environment variable {name} overrides no key of the settings")
    return {name: keys[name] for name in wanted}


def _leaves(kind: type[msgspec.Struct]) -> Iterator[tuple[str, ...]]:
    hints = get_type_hints(kind)
    for name in kind.__struct_fields__:
        section = _struct_in(hints[name])
        if section is None:
            yield (name,)
        else:
            yield from ((name, *rest) for rest in _leaves(section))


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds, itself or as an optional one; a list of structs is a leaf."""
    for part in (annotation, *(p for p in get_args(annotation) if p is not type(None))):
        if isinstance(part, type) and issubclass(part, msgspec.Struct) and not _is_collection(annotation):
            return part
    return None


def _is_collection(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) in (list, tuple, dict, frozenset, set)


def _try_alone(
    content: dict[str, Any], kind: type[msgspec.Struct], name: str, keys: tuple[str, ...], value: str
) -> None:
    """Check one value against its key's type. A rule that spans several keys is for all of them together."""
    trial = deepcopy(content)
    _put(trial, keys, value)
    try:
        msgspec.convert(trial, kind, strict=False)
    except msgspec.ValidationError as error:
        if f"`$.{'.'.join(keys)}`" in str(error):
            _convert(trial, kind, name)


def _put(content: dict[str, Any], keys: tuple[str, ...], value: str) -> None:
    *sections, last = keys
    for section in sections:
        content = content.setdefault(section, {})
    content[last] = value


def _fault(message: str) -> Fault:
    return Fault("settings", message, retryable=False)
