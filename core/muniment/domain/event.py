"""Events: what every one carries, how topics are registered, how old versions are read, and which fields are personal.

Deciders return events *unstamped*: identity, time and authorship are added by `stamp` (ids, authorship) and by the
store (log time, under the append lock), so that deciding stays pure and a clock can never run backwards in the log.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar, get_args, get_origin
from uuid import UUID

import msgspec

__all__ = [
    "ERASED", "About", "Aggregate", "Event", "Personal", "is_personal", "stamp", "topic", "topics",
    "upcast",
]  # fmt: skip

Personal = Annotated[str, msgspec.Meta(extra={"personal": True})]
"""A text about a person or chosen by one (names, descriptions, addresses). In memory it is a plain `str`; the store's
mapper seals every field of this type, also inside nested structs and lists, under the data key of the event's project.
After the project was erased it reads as `ERASED`, which folds, deciders and projections must accept."""

ERASED = "erased"


def is_personal(annotation: object) -> bool:
    """Whether a field of this type is sealed: `Personal`, or an optional one."""
    if get_origin(annotation) is Annotated:
        held, *remarks = get_args(annotation)
        if any(
            isinstance(remark, msgspec.Meta) and (remark.extra or {}).get("personal") for remark in remarks
        ):
            return True
        return is_personal(held)
    return any(is_personal(part) for part in get_args(annotation))


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that happened to one stream. Past tense, immutable, for ever.

    Schemas only grow: add optional fields, never reuse a name, write an upcaster for more, and freeze a sample of every
    version in `tests/events/`.
    """

    TOPIC: ClassVar[str]

    originator_id: UUID
    originator_version: int
    event_id: UUID | None = None
    at: datetime | None = None
    """Log time, set by the store under the append lock; it never decreases along the log."""
    project_id: str = ""
    """The project that owns the stream; its data key seals the personal fields."""
    actor: str = ""
    """Who caused it: `user:<id>` or the process, `taskmanager`, `conductor`."""
    request_id: str = ""
    causation_id: UUID | None = None
    """The operation or event this one follows from."""


E = TypeVar("E", bound=Event)
S = TypeVar("S")

_topics: dict[str, type[Event]] = {}
_upcasters: dict[str, Callable[[Any], Event]] = {}


def topic(name: str, *, upcast: Callable[[Any], Event] | None = None) -> Callable[[type[E]], type[E]]:
    """Register an event class under an explicit, versioned topic such as `instance.requested.1`.

    `upcast` turns an event of this old version into its successor; chains are followed to the newest.
    """

    def register(cls: type[E]) -> type[E]:
        assert name not in _topics, f"topic {name} is registered twice"
        cls.TOPIC = name
        _topics[name] = cls
        if upcast is not None:
            _upcasters[name] = upcast
        return cls

    return register


def topics() -> dict[str, type[Event]]:
    """Every registered topic with its class, old versions included."""
    return dict(_topics)


def upcast(event: Event) -> Event:
    """Bring an event of any version to its newest."""
    while (lift := _upcasters.get(event.TOPIC)) is not None:
        event = lift(event)
    return event


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants something and why: the authorship that every event of one save shares."""

    project_id: str
    actor: str
    request_id: str = ""
    causation_id: UUID | None = None


def stamp(events: Iterable[Event], about: About, *, new_id: Callable[[], UUID]) -> list[Event]:
    """Give each event its identity and authorship. An event that already names its project (of another stream's owner)
    keeps it. Draw ids once per save, not once per try: they are how a lost acknowledgement is recognised."""
    return [
        msgspec.structs.replace(
            event,
            event_id=event.event_id or new_id(),
            project_id=event.project_id or about.project_id,
            actor=event.actor or about.actor,
            request_id=event.request_id or about.request_id,
            causation_id=event.causation_id or about.causation_id,
        )
        for event in events
    ]


class State(Protocol):
    """What a fold yields: frozen, with the stream's id and the version it stands at."""

    @property
    def id(self) -> UUID:
        """The stream."""
        ...

    @property
    def version(self) -> int:
        """The version of the last event folded."""
        ...


class Aggregate(Generic[S]):
    """A kind of stream: its name and how one event changes its state."""

    def __init__(self, name: str, apply: Callable[[S | None, Event], S]) -> None:
        """`apply(None, first_event)` makes the state; the fold is total: any event on any state."""
        self.name = name
        self._apply = apply

    def fold(self, state: S | None, events: Sequence[Event]) -> S | None:
        """State after `events`."""
        for event in events:
            state = self._apply(state, event)
        return state
