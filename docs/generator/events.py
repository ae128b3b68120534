"""The page of events: every topic."""

from collections import defaultdict
from collections.abc import Iterator
from typing import get_type_hints

import msgspec
from docs.generator.markdown import GENERATED, code, paragraph, table
from docs.generator.source import field_docs
from docs.generator.types import default_of, structs_in, structs_section, words

import muniment.domain.streams  # for its topics
from muniment.domain.event import ERASED, Event, is_personal, topics

__all__ = ["events_page"]

_STREAMS = {
    "instance": "an instance's",
    "operation": "an operation's",
    "backup": "a backup's",
    "datastore": "a datastore's",
    "quota": "a project's limits'",
    "subject": "that of an instance or a backup, which an operation works on",
}
_COMMON = frozenset(Event.__struct_fields__)


def events_page() -> str:
    """Every topic with its stream and its fields."""
    by_stream: defaultdict[str, list[type[Event]]] = defaultdict(list)
    for name, cls in topics().items():
        if cls.__module__.startswith(muniment.domain.__name__):  # tests have topics of their own
            by_stream[name.partition(".")[0]].append(cls)
    return "\n\n".join(_lines(by_stream)) + "\n"


def _lines(by_stream: dict[str, list[type[Event]]]) -> Iterator[str]:
    yield GENERATED
    yield "# Events"
    yield (
        "A topic is for ever: its fields are only added to, and what needs more becomes a new version under a new topic "
        "with an upcaster. *Personal* fields are sealed under the key of the event's project, also inside of lists and "
        f"structures; after the project's erasure they read `{ERASED}`. No event holds a secret; `secret_ref` names a row "
        "that is deleted when its operation ends."
    )
    yield "## In every event"
    yield _fields(Event, frozenset())
    for stream in sorted(by_stream):
        yield f"## Stream: {_STREAMS[stream]}"
        for cls in by_stream[stream]:
            yield f"### `{cls.TOPIC}`"
            yield paragraph(cls.__doc__)
            if set(cls.__struct_fields__) - _COMMON:
                yield _fields(cls, _COMMON)
    yield "## Structures"
    hints = [get_type_hints(cls, include_extras=True) for classes in by_stream.values() for cls in classes]
    yield from structs_section(structs_in(hint for fields in hints for hint in fields.values()))


def _fields(cls: type[msgspec.Struct], without: frozenset[str]) -> str:
    docs, hints = field_docs(cls), get_type_hints(cls, include_extras=True)
    rows = (
        (
            code(field.name),
            words(hints[field.name]),
            "personal" if is_personal(hints[field.name]) else "",
            default_of(field),
            paragraph(docs.get(field.name)),
        )
        for field in msgspec.structs.fields(cls)
        if field.name not in without
    )
    return table(("field", "type", "sealed", "without it", "meaning"), rows)
