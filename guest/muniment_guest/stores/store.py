"""The port to a place that keeps the objects of one backup."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, Protocol

from muniment.clock import Clock
from muniment.contract.backup import StoreRef
from muniment.contract.errors import Code, OpFailed
from muniment_guest.stores.file import FileStore

__all__ = ["ObjectStore", "open_store"]


class ObjectStore(Protocol):
    """Whole objects by name: an object is there completely and durably, or not at all.

    Every method raises OpFailed: `storage_unavailable` (also past the grant's end, for writing), `resource_exhausted` when
    it is full, `not_found`.
    """

    def write(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A stream into a new object, which is there once the block was left without an exception."""
        ...

    def read(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A stream of an object's bytes, from the store itself where it can be helped, not from a cache."""
        ...

    def names(self) -> Iterator[str]:
        """Names of the objects that are there, in order; left-overs of broken writes included."""
        ...

    def delete(self, name: str) -> None:
        """Have an object gone; no-op when it is."""
        ...

    def clear(self) -> None:
        """Have all objects gone, and the place itself if it was made by `write`."""
        ...

    def free_bytes(self) -> int | None:
        """Room for more; None where the store does not say."""
        ...


def open_store(ref: StoreRef, clock: Clock) -> ObjectStore:
    """The store that a reference names.

    Raises:
        OpFailed: `unsupported`, or the reference is no good.
    """
    if ref.kind == "file":
        return FileStore(ref, clock)
    raise OpFailed(Code.UNSUPPORTED, f"this agent has no store of kind {ref.kind}")
