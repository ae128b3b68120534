"""Direction keys by instance and key epoch, derived once and kept for a while."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

from muniment.bus.suite import Direction, DirectionKey, Suite
from muniment.secret import Secret

__all__ = ["Keyring", "RootSource"]

RootSource = Callable[[UUID, int], Secret | None]
"""The root key of an instance in a key epoch, or None: a look-up in a database or in a guest's state file."""

_KNOWN_MS: Final = 30_000
_UNKNOWN_MS: Final = 5_000
_CAPACITY: Final = 16_384

V = TypeVar("V")


class _Entry:
    """One instance's root key in one epoch, with the keys derived from it so far."""

    __slots__ = ("keys", "root", "until_ms")

    def __init__(self, root: Secret, until_ms: int) -> None:
        self.root = root
        self.until_ms = until_ms
        self.keys: dict[tuple[Direction, Suite], DirectionKey] = {}


class Keyring:
    """Finds direction keys; remembers for 30 s what there is and for 5 s what there is not, each within a bound.

    The first bound is how long a deleted root key may still open messages in another process. The second keeps whoever
    can reach the transport from causing one database look-up per forged message; it is short, since a guest whose name
    was guessed before it enrolled is not heard for that long.
    """

    def __init__(self, roots: RootSource, *, capacity: int = _CAPACITY) -> None:
        """Look roots up in `roots`; `capacity` bounds each of the two memories, in (instance, epoch) pairs."""
        self._roots = roots
        self._capacity = capacity
        self._known: OrderedDict[tuple[bytes, int], _Entry] = OrderedDict()
        self._unknown: OrderedDict[tuple[bytes, int], int] = OrderedDict()

    def find(
        self, instance: bytes, epoch: int, direction: Direction, suite: Suite, now_ms: int
    ) -> DirectionKey | None:
        """The key for a header's fields, or None; see `KeyFinder`."""
        entry = self._entry((instance, epoch), now_ms)
        if entry is None:
            return None
        key = entry.keys.get((direction, suite))
        if key is None:
            key = DirectionKey(entry.root, UUID(bytes=instance), epoch, direction, suite)
            entry.keys[direction, suite] = key
        return key

    def forget(self, instance_id: UUID) -> None:
        """Drop everything remembered of an instance: its keys changed or went."""
        for memory in (self._known, self._unknown):
            for name in [name for name in memory if name[0] == instance_id.bytes]:
                del memory[name]

    def _entry(self, name: tuple[bytes, int], now_ms: int) -> _Entry | None:
        entry = self._known.get(name)
        if entry is not None and now_ms < entry.until_ms:
            return entry
        if now_ms < self._unknown.get(name, 0):
            return None
        return self._look_up(name, now_ms)

    def _look_up(self, name: tuple[bytes, int], now_ms: int) -> _Entry | None:
        instance, epoch = name
        root = self._roots(UUID(bytes=instance), epoch)
        self._known.pop(name, None)
        self._unknown.pop(name, None)
        if root is None:
            self._unknown[name] = now_ms + _UNKNOWN_MS
            _trim(self._unknown, self._capacity)
            return None
        entry = self._known[name] = _Entry(root, now_ms + _KNOWN_MS)
        _trim(self._known, self._capacity)
        return entry


def _trim(memory: "OrderedDict[tuple[bytes, int], V]", capacity: int) -> None:
    """Forget the oldest beyond `capacity`."""
    while len(memory) > capacity:
        memory.popitem(last=False)
