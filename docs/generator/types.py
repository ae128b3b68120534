"""Types in words, and tables of what structs hold."""

import types
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from docs.generator.markdown import anchor, code, paragraph, table
from docs.generator.source import field_docs

__all__ = ["default_of", "fields_table", "limits_of", "structs_in", "structs_section", "words"]

_PLAIN: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    bytes: "bytes",
    UUID: "UUID",
    datetime: "time, UTC",
    object: "anything",
    Any: "anything",
    type(None): "none",
}


def words(annotation: object) -> str:
    """A type as a reader of the page needs it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        return words(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(code(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(words(part) for part in arguments if part is not msgspec.UnsetType)
    if origin in (tuple, list, frozenset, set):
        return f"list of {words(arguments[0])}"
    if origin is dict:
        return f"map of {words(arguments[0])} to {words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "one of " + ", ".join(code(member.value) for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return f"[{annotation.__name__}]({anchor(annotation.__name__)})"
    raise AssertionError(f"no words for the type {annotation}")


def structs_in(annotations: Iterable[object]) -> list[type[msgspec.Struct]]:
    """The structs that types name, and those that their fields name, each once."""
    found: dict[type[msgspec.Struct], None] = {}

    def visit(annotation: object) -> None:
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            if annotation not in found:
                found[annotation] = None
                for hint in get_type_hints(annotation, include_extras=True).values():
                    visit(hint)
            return
        for part in get_args(annotation):
            visit(part)

    for annotation in annotations:
        visit(annotation)
    return sorted(found, key=lambda struct: struct.__name__)


def structs_section(structs: Iterable[type[msgspec.Struct]]) -> Iterator[str]:
    """A heading, the docstring and the fields of each struct."""
    for struct in structs:
        yield f"### {struct.__name__}"
        yield paragraph(struct.__doc__)
        tag = struct.__struct_config__.tag
        if tag is not None:
            yield f"Told from others by `{struct.__struct_config__.tag_field}`: `{tag}`."
        if struct.__struct_fields__:
            yield fields_table(struct)


def fields_table(struct: type[msgspec.Struct]) -> str:
    """Name, type and meaning of each field."""
    docs, hints = field_docs(struct), get_type_hints(struct, include_extras=True)
    rows = (
        (code(field.name), words(hints[field.name]), default_of(field), paragraph(docs.get(field.name)))
        for field in msgspec.structs.fields(struct)
    )
    return table(("field", "type", "without it", "meaning"), rows)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """What a field is when nobody gives it."""
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case () | {} | [] | "" | b"":
            return "empty"
        case msgspec.Struct():
            return "its defaults"
        case bytes():
            return code(value.decode())
    return code(value)


def limits_of(annotation: object) -> str:
    """The limits that a type sets, in words."""
    found = []
    for part in (annotation, *get_args(annotation)):
        for meta in getattr(part, "__metadata__", ()):
            if meta.ge is not None:
                found.append(f"at least {meta.ge:,}")
            if meta.gt is not None:
                found.append(f"more than {meta.gt:,}")
            if meta.le is not None:
                found.append(f"at most {meta.le:,}")
            if meta.min_length is not None:
                found.append(f"at least {meta.min_length} long")
            if meta.max_length is not None:
                found.append(f"at most {meta.max_length} long")
            if meta.pattern is not None:
                found.append(f"as {code(meta.pattern)}")
    return ", ".join(dict.fromkeys(found))
