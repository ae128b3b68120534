"""Requests that wait for something to be there, each woken by name, none for ever, not too many of them."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["Full", "Seat", "WaitingRoom"]


class Full(Exception):
    """As many requests wait as may."""


class Seat:
    """One waiting request."""

    def __init__(self) -> None:
        """Made by `WaitingRoom.seat`."""
        self._called = asyncio.Event()
        self.is_over = False
        """Whether to stop waiting and answer: another request took the place, or the gateway closes."""

    def call(self) -> None:
        """Let the request look again."""
        self._called.set()

    def end(self) -> None:
        """Let the request answer without what it waits for."""
        self.is_over = True
        self._called.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when called, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._called.wait()
        except TimeoutError:
            return
        self._called.clear()


class WaitingRoom:
    """At most one waiting request a name; the newest takes the seat of the one before, whose caller has gone."""

    def __init__(self, capacity: int) -> None:
        """Seat at most `capacity`."""
        self._capacity = capacity
        self._seats: dict[str, Seat] = {}
        self._is_closed = False

    @contextmanager
    def seat(self, name: str) -> Iterator[Seat]:
        """A place to wait. Take it *before* looking, so that what is added in between calls.

        Raises:
            Full: there is none left.
        """
        before = self._seats.get(name)
        if before is not None:
            before.end()
        elif len(self._seats) >= self._capacity:
            raise Full
        seat = self._seats[name] = Seat()
        seat.is_over = self._is_closed
        try:
            yield seat
        finally:
            if self._seats.get(name) is seat:
                del self._seats[name]

    def call(self, names: Iterable[str]) -> None:
        """Wake those who wait under these names."""
        for name in names:
            if (seat := self._seats.get(name)) is not None:
                seat.call()

    def call_all(self) -> None:
        """Wake everybody."""
        self.call(list(self._seats))

    def close(self) -> None:
        """End all waiting, now and from now on."""
        self._is_closed = True
        for seat in self._seats.values():
            seat.end()

    def __len__(self) -> int:
        return len(self._seats)
