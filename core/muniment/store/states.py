"""Folded states, kept by the process that folded them, so that a long stream is read and proven once and not at every load.

What is kept is believed only together with the newest event that went into it, and with the keys that opened its personal
fields. So it holds with any number of writers, after a restore, and after an erasure by whichever process.
"""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID

from muniment.domain.event import Aggregate
from muniment.secrets.personal import ProjectKeys

__all__ = ["Folded", "States"]

STREAMS_MAX = 1024
"""A few kilobytes each; a stream that has no room is folded from its first event again."""


class Folded(NamedTuple):
    """A state, and what it was made of."""

    state: Any
    """Of the aggregate's type. States are frozen, so that all threads may hold the same."""
    version: int
    digest: bytes
    """Of the event at `version`; through it, of all events before."""
    keys: Mapping[str, ProjectKeys]
    """By project, what opened the personal fields: with other keys, or none, the same events read differently."""


class States:
    """The folded states of the streams that were loaded last. Safe to share between threads."""

    def __init__(self, streams_max: int = STREAMS_MAX) -> None:
        """Begin with none; beyond `streams_max` the one that was not asked for longest goes."""
        self._streams_max = streams_max
        self._kept: OrderedDict[tuple[Aggregate[Any], UUID], Folded] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, aggregate: Aggregate[Any], stream_id: UUID) -> Folded | None:
        """What was kept of a stream."""
        place = (aggregate, stream_id)
        with self._lock:
            found = self._kept.get(place)
            if found is not None:
                self._kept.move_to_end(place)
            return found

    def keep(self, aggregate: Aggregate[Any], stream_id: UUID, folded: Folded | None) -> None:
        """Keep this of a stream in place of what was; None keeps nothing of it."""
        place = (aggregate, stream_id)
        with self._lock:
            self._kept.pop(place, None)
            if folded is None:
                return
            self._kept[place] = folded
            if len(self._kept) > self._streams_max:
                self._kept.popitem(last=False)
