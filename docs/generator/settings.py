"""The page of settings: every section and key."""

from collections.abc import Iterator
from typing import get_args, get_type_hints

import msgspec
from docs.generator.markdown import GENERATED, code, paragraph, table
from docs.generator.source import field_docs
from docs.generator.types import default_of, limits_of, structs_in, structs_section, words

from muniment.settings import PREFIX
from muniment_cli.data_directory import DATA_VARIABLE
from muniment_cli.settings import Settings

__all__ = ["keys_without_meaning", "settings_page"]


def settings_page() -> str:
    """Every key with its default, its limits, its meaning and its environment variable."""
    return "\n\n".join(_lines()) + "\n"


def keys_without_meaning() -> list[str]:
    """Keys that nothing is said about in the code."""
    return [
        ".".join((*path, field.name))
        for path, section in _sections()
        for field in msgspec.structs.fields(section)
        if _section_in(field.type) is None and field.name not in field_docs(section)
    ]


def _lines() -> Iterator[str]:
    yield GENERATED
    yield "# Settings"
    yield (
        "`settings.toml` in the data directory; `muniment up` writes it at its first start and reads it at every start. An "
        "unknown section, key or variable is an error with one line and exit code 2, and so is a value that does not fit. "
        f"An environment variable overrides a key. `{DATA_VARIABLE}` is no key: it names the data directory where no "
        "`--data` is given; without both it is `/var/lib/muniment` for root, else `~/.local/share/muniment`."
    )
    for path, section in _sections():
        yield f"## [{'.'.join(path)}]"
        yield paragraph(section.__doc__)
        yield _keys(path, section)
    leaves = [field.type for _, section in _sections() for field in msgspec.structs.fields(section)]
    lists = [leaf for leaf in leaves if _section_in(leaf) is None]
    if structs := structs_in(lists):
        yield "## Items of lists"
        yield from structs_section(structs)


def _keys(path: tuple[str, ...], section: type[msgspec.Struct]) -> str:
    docs, hints = field_docs(section), get_type_hints(section, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(section):
        if _section_in(field.type) is None:
            kind = ", ".join(
                part for part in (words(hints[field.name]), limits_of(hints[field.name])) if part
            )
            is_text = not structs_in([hints[field.name]])
            variable = (
                code(PREFIX + "_".join((*path, field.name)).upper()) if is_text else "none: it is no text"
            )
            default = default_of(field) if is_text else _items(field)
            rows.append((code(field.name), kind, default, paragraph(docs.get(field.name)), variable))
    return table(("key", "type", "default", "meaning", "environment variable"), rows)


def _items(field: msgspec.structs.FieldInfo) -> str:
    return ", ".join(code(item.name) for item in field.default)


def _sections() -> Iterator[tuple[tuple[str, ...], type[msgspec.Struct]]]:
    def below(path: tuple[str, ...], section: type[msgspec.Struct]) -> Iterator[tuple[tuple[str, ...], type]]:
        for field in msgspec.structs.fields(section):
            if (inner := _section_in(field.type)) is not None:
                yield (*path, field.name), inner
                yield from below((*path, field.name), inner)

    yield from below((), Settings)


def _section_in(annotation: object) -> type[msgspec.Struct] | None:
    """The section that a key is, itself or as an optional one."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part if not _is_list(annotation) else None
    return None


def _is_list(annotation: object) -> bool:
    return any(
        getattr(part, "__origin__", None) in (tuple, list) for part in (annotation, *get_args(annotation))
    )
