"""An example of any event class, made from its types: the same each time, with every optional field filled."""

from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

from msgspec import inspect

from muniment.domain.event import Event

E = TypeVar("E", bound=Event)

_PLAIN: dict[type, Any] = {
    inspect.BoolType: True,
    inspect.FloatType: 1.5,
    inspect.DateTimeType: datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    inspect.BytesType: b"bytes \x00\xff",
    inspect.AnyType: {"any": ["thing", 1]},
    inspect.NoneType: None,
}


def examples_of(kind: type[E]) -> list[E]:
    """Events of this class: one, or where a field may be one of several structs, one for each of them."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    count = max([len(_structs(field.type)) for field in info.fields] + [1])
    return [_event(kind, info, variant) for variant in range(count)]


def _event(kind: type[E], info: inspect.StructType, variant: int) -> E:
    values = {field.name: _variant(field.type, field.name, variant) for field in info.fields}
    return kind(**values | {"originator_version": 1})


def _variant(info: inspect.Type, name: str, variant: int) -> Any:
    structs = _structs(info)
    return _example(structs[variant % len(structs)] if structs else info, name)


def _structs(info: inspect.Type) -> list[inspect.Type]:
    if not isinstance(info, inspect.UnionType):
        return []
    return [part for part in info.types if isinstance(part, inspect.StructType)]


def _example(info: inspect.Type, name: str) -> Any:
    if type(info) in _PLAIN:
        return _PLAIN[type(info)]
    if isinstance(info, inspect.Metadata):
        is_personal = bool((info.extra or {}).get("personal"))
        return _example(info.type, f"personal {name}" if is_personal else name)
    if isinstance(info, inspect.IntType):
        return info.ge if info.ge is not None else 7
    if isinstance(info, inspect.StrType):
        return f"the {name}"[: info.max_length]
    if isinstance(info, inspect.UUIDType):
        return uuid5(NAMESPACE_URL, f"urn:muniment:sample:{name}")
    if isinstance(info, inspect.EnumType):
        return next(iter(info.cls))
    if isinstance(info, inspect.LiteralType):
        return info.values[0]
    if isinstance(info, inspect.UnionType):
        return _example(next(part for part in info.types if not isinstance(part, inspect.NoneType)), name)
    return _collection(info, name)


def _collection(info: inspect.Type, name: str) -> Any:
    if isinstance(info, inspect.StructType):
        return info.cls(**{field.name: _example(field.type, field.name) for field in info.fields})
    if isinstance(info, inspect.DictType):
        return {_example(info.key_type, f"{name} key"): _example(info.value_type, f"{name} value")}
    if isinstance(info, inspect.TupleType):
        return tuple(_example(part, name) for part in info.item_types)
    if isinstance(info, inspect.VarTupleType):
        return (_example(info.item_type, name),)
    if isinstance(info, inspect.FrozenSetType):
        return frozenset({_example(info.item_type, name)})
    if isinstance(info, inspect.SetType):
        return {_example(info.item_type, name)}
    if isinstance(info, inspect.ListType):
        return [_example(info.item_type, name)]
    raise TypeError(f"there is no example of {info} in field {name}")
