"""Which fields of an event are personal, at any depth, and how to seal and open them in place."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

__all__ = ["Change", "Walker", "walker_of"]

Change = Callable[[str, str], str]
"""(text, field path) -> text: what is done to each personal field. A path reads `databases.0.name`."""

Walker = Callable[[Any, str, Change], Any]
"""Applies a change to all personal fields of a value, in place where it can. The value is what JSON decodes to: text,
numbers, dicts, lists, so that writing and reading walk over the very same."""


def walker_of(kind: type[msgspec.Struct]) -> Walker | None:
    """The walker of an event class, or None if no field of it is personal."""
    return _Compiler().walker(inspect.type_info(kind))


class _Compiler:
    """Builds walkers, once for each struct, so that structs may contain themselves."""

    def __init__(self) -> None:
        self._structs: dict[type, Walker | None] = {}
        self._open: set[type] = set()

    def walker(self, info: inspect.Type, *, personal: bool = False) -> Walker | None:
        if isinstance(info, inspect.Metadata):
            return self.walker(info.type, personal=personal or bool((info.extra or {}).get("personal")))
        if isinstance(info, inspect.StrType):
            return _change_text if personal else None
        if isinstance(info, inspect.StructType):
            return self._struct(info)
        if isinstance(info, inspect.UnionType):
            return self._union(info, personal=personal)
        if isinstance(info, inspect.TupleType):
            return _members([self.walker(part, personal=personal) for part in info.item_types])
        if isinstance(info, inspect.CollectionType):
            return _each(self.walker(info.item_type, personal=personal))
        if isinstance(info, inspect.DictType):
            assert self.walker(info.key_type) is None, "keys of a dict cannot be personal"
            return _values(self.walker(info.value_type, personal=personal))
        assert not personal, f"a personal field holds text, not {info}"
        return None

    def _struct(self, info: inspect.StructType) -> Walker | None:
        if info.cls in self._open:
            return lambda value, path, change: _run(self._structs[info.cls], value, path, change)
        if info.cls not in self._structs:
            self._open.add(info.cls)
            found = {field.encode_name: self.walker(field.type) for field in info.fields}
            fields = {name: walk for name, walk in found.items() if walk is not None}
            assert not (fields and info.array_like), "a struct with personal fields has names, not places"
            self._structs[info.cls] = _fields(fields)
            self._open.remove(info.cls)
        return self._structs[info.cls]

    def _union(self, info: inspect.UnionType, *, personal: bool) -> Walker | None:
        structs: dict[object, Walker | None] = {}
        tag_field: str | None = None
        others: dict[type, Walker] = {}
        for part in info.types:
            if isinstance(part, inspect.StructType):
                tag_field = part.tag_field
                structs[part.tag] = self.walker(part)
            elif not isinstance(part, inspect.NoneType):
                walk = self.walker(part, personal=personal)
                if walk is not None:
                    others[_plain(part)] = walk
        if not others and not any(structs.values()):
            return None

        def walk_union(value: Any, path: str, change: Change) -> Any:
            if isinstance(value, dict) and structs:
                tag = value.get(tag_field) if tag_field else None
                return _run(structs[tag], value, path, change)
            return _run(others.get(type(value)), value, path, change)

        return walk_union


def _plain(info: inspect.Type) -> type:
    """The plain type that a member of a union has once it is encoded."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.StrType):
        return str
    return dict if isinstance(info, inspect.DictType) else list


def _run(walk: Walker | None, value: Any, path: str, change: Change) -> Any:
    return value if walk is None or value is None else walk(value, path, change)


def _change_text(value: Any, path: str, change: Change) -> Any:
    return change(value, path)


def _fields(fields: dict[str, Walker]) -> Walker | None:
    if not fields:
        return None

    def walk(value: Any, path: str, change: Change) -> Any:
        for name, inner in fields.items():
            if name in value:
                value[name] = _run(inner, value[name], f"{path}.{name}" if path else name, change)
        return value

    return walk


def _each(inner: Walker | None) -> Walker | None:
    if inner is None:
        return None
    return lambda value, path, change: [
        _run(inner, item, f"{path}.{place}", change) for place, item in enumerate(value)
    ]


def _members(inner: list[Walker | None]) -> Walker | None:
    if not any(inner):
        return None
    return lambda value, path, change: [
        _run(walk, item, f"{path}.{place}", change)
        for place, (walk, item) in enumerate(zip(inner, value, strict=False))
    ]


def _values(inner: Walker | None) -> Walker | None:
    if inner is None:
        return None
    return lambda value, path, change: {
        name: _run(inner, item, f"{path}.{name}", change) for name, item in value.items()
    }
