"""Every shape in which a personal field may stand is found."""

from typing import Annotated

import msgspec
import pytest

from muniment.domain.event import Personal
from muniment.store.sealing import walker_of


class Person(msgspec.Struct, tag="person"):
    """One of two tagged structs."""

    name: Personal


class Robot(msgspec.Struct, tag="robot"):
    """The other, without anything personal."""

    name: str


class Family(msgspec.Struct):
    """A struct that contains itself."""

    head: Personal
    branches: list["Family"] = []


class Renamed(msgspec.Struct, rename="camel"):
    """A struct whose encoded names differ."""

    full_name: Personal


class Shapes(msgspec.Struct):
    """All of them."""

    plain: str
    text: Personal
    limited: Annotated[Personal, msgspec.Meta(max_length=20)]
    maybe: Personal | None
    maybe_many: list[Personal] | None
    maybe_tail: tuple[Personal, ...] | None
    maybe_named: dict[str, Personal] | None
    maybe_set: frozenset[Personal] | None
    number_or_text: int | Personal
    many: list[Personal]
    pair: tuple[int, Personal]
    tail: tuple[Personal, ...]
    named: dict[str, Personal]
    nested: dict[str, list[Personal | None]]
    either: Person | Robot
    eithers: list[Person | Robot | None]
    family: Family
    renamed: Renamed


VALUE = Shapes(
    plain="plain",
    text="p",
    limited="p",
    maybe="p",
    maybe_many=["p"],
    maybe_tail=("p", "p"),
    maybe_named={"a": "p"},
    maybe_set=frozenset({"p"}),
    number_or_text="p",
    many=["p", "p"],
    pair=(1, "p"),
    tail=("p",),
    named={"a": "p"},
    nested={"a": ["p", None]},
    either=Person(name="p"),
    eithers=[Robot(name="plain"), Person(name="p"), None],
    family=Family(head="p", branches=[Family(head="p", branches=[Family(head="p")])]),
    renamed=Renamed(full_name="p"),
)

PATHS = [
    "text", "limited", "maybe", "maybe_many.0", "maybe_tail.0", "maybe_tail.1", "maybe_named.a", "maybe_set.0",
    "number_or_text", "many.0", "many.1", "pair.1", "tail.0", "named.a", "nested.a.0",
    "either.name", "eithers.1.name", "family.head", "family.branches.0.head", "family.branches.0.branches.0.head",
    "renamed.fullName",
]  # fmt: skip


def _plain(value: Shapes) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_every_personal_field_is_walked_once_under_its_path() -> None:
    """All personal fields at any depth are changed, nothing else is."""
    walk = walker_of(Shapes)
    assert walk is not None
    paths: list[str] = []

    def change(text: str, path: str) -> str:
        paths.append(path)
        return text.upper()

    changed = msgspec.convert(walk(_plain(VALUE), "", change), Shapes)
    assert paths == PATHS
    back = walk(_plain(changed), "", lambda text, _: text.lower())
    assert msgspec.convert(back, Shapes) == VALUE
    assert (changed.plain, changed.eithers[0]) == ("plain", Robot(name="plain"))


def test_a_struct_without_personal_fields_is_not_walked() -> None:
    """Most events are written and read without the detour."""
    assert walker_of(Robot) is None


def test_absent_fields_are_skipped() -> None:
    """A body of an older schema lacks fields that were added; there is nothing to open in them."""
    walk = walker_of(Shapes)
    assert walk is not None
    assert walk({"text": "p"}, "", lambda text, _: text.upper()) == {"text": "P"}


class PersonalKeys(msgspec.Struct):
    """A shape that is refused: keys of a dict cannot be sealed."""

    by_name: dict[Personal, int]


def test_personal_keys_of_a_dict_are_a_bug() -> None:
    """A name used as a key would stay readable, so the class is refused when it is first used."""
    with pytest.raises(AssertionError):
        walker_of(PersonalKeys)
