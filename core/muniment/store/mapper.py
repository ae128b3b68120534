"""Events to bytes and back: JSON by msgspec, personal fields sealed, old versions lifted to the newest."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

import muniment.domain.streams  # noqa: F401 - for its topics, by which stored events are read
from muniment.domain.event import ERASED, Event, topics, upcast
from muniment.fault import Fault
from muniment.secrets.personal import ProjectKeys
from muniment.store.sealing import Walker, walker_of

__all__ = ["Draft", "EventMapper", "KeysOf", "decode_event", "encode_event"]

KeysOf = Callable[[str], ProjectKeys]
"""The data keys of a project."""

_encoder = msgspec.json.Encoder()


class _Codec:
    """How one event class is written and read."""

    def __init__(self, kind: type[Event]) -> None:
        self.kind = kind
        self.decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(kind)
        self.walk: Walker | None = walker_of(kind)


def encode_event(event: Event, keys: KeysOf) -> bytes:
    """The body of a stamped event as it is stored."""
    walk = _codec(event.TOPIC).walk
    if walk is None:
        return _encoder.encode(event)
    project, stream_id, version = keys(event.project_id), event.originator_id, event.originator_version
    # Through JSON, not `to_builtins`: that leaves tuples and sets as they are, and what is opened later are lists.
    plain = msgspec.json.decode(_encoder.encode(event))
    return _encoder.encode(walk(plain, "", lambda text, path: project.seal(text, stream_id, version, path)))


def decode_event(topic: str, body: bytes, keys: KeysOf) -> Event:
    """The event in a stored body, in its newest version.

    Raises:
        Fault: this release does not know the topic, or the body is not an event of it.
    """
    codec = _codec(topic)
    try:
        return upcast(_decode(codec, body, keys))
    except msgspec.MsgspecError as error:
        raise Fault("store", f"a stored {topic} does not decode: {error}", retryable=False) from error


def _decode(codec: _Codec, body: bytes, keys: KeysOf) -> Event:
    walk = codec.walk
    if walk is None:
        return codec.decoder.decode(body)
    plain: dict[str, Any] = msgspec.json.decode(body, type=dict)
    project = keys(plain["project_id"])
    stream_id, version = UUID(plain["originator_id"]), plain["originator_version"]

    def open_field(text: str, path: str) -> str:
        opened = project.open(text, stream_id, version, path)
        return ERASED if opened is None else opened

    return msgspec.convert(walk(plain, "", open_field), codec.kind, str_keys=True)


@lru_cache(maxsize=1024)
def _codec(topic: str) -> _Codec:
    kind = topics().get(topic)
    if kind is None:
        raise Fault("store", f"events of topic {topic} are not known to this release", retryable=False)
    return _Codec(kind)


class Draft(StoredEvent):
    """An event on its way into the store: its body is made under the append lock, where its log time is known."""

    def __init__(self, event: Event) -> None:
        """Hold the event itself beside what the library wants to see."""
        super().__init__(event.originator_id, event.originator_version, event.TOPIC, b"")
        object.__setattr__(self, "event", event)

    event: Event


class EventMapper(Mapper[UUID]):
    """The library's mapper for our events."""

    def __init__(self, keys: KeysOf) -> None:
        """Read personal fields with `keys`."""
        super().__init__(transcoder=_NoTranscoder())
        self._keys = keys

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """A draft of the event; the recorder makes its body."""
        return Draft(domain_event)

    def to_domain_event(self, stored_event: StoredEvent) -> Event:
        """The event, verified by the recorder before."""
        return decode_event(stored_event.topic, stored_event.state, self._keys)


class _NoTranscoder(Transcoder):
    """The library asks for one; our mapper encodes whole events by itself."""

    def encode(self, obj: Any) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError
