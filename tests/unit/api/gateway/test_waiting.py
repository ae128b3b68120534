"""The waiting room: seats, calls, and who has to leave."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from muniment_api.gateway.waiting import Full, Seat, WaitingRoom


def run(work: Callable[[WaitingRoom], Awaitable[None]], capacity: int = 10) -> None:
    """Run in an event loop of its own, for ten seconds at most."""

    async def limited() -> None:
        async with asyncio.timeout(10):
            await work(WaitingRoom(capacity))

    asyncio.run(limited())


def test_called_before_waiting() -> None:
    """A call between taking the seat and waiting is not missed."""

    async def work(room: WaitingRoom) -> None:
        with room.seat("a") as seat:
            room.call(["a", "unknown"])
            await seat.wait(60)

    run(work)


def test_timeout() -> None:
    """Waiting ends by itself."""

    async def work(room: WaitingRoom) -> None:
        with room.seat("a") as seat:
            await seat.wait(0.001)
            assert not seat.is_over

    run(work)


def test_newest_takes_over() -> None:
    """A second seat under a name ends the first, and the first's leaving does not end the second."""

    async def work(room: WaitingRoom) -> None:
        first: Seat
        with room.seat("a") as first:
            with room.seat("a") as second:
                assert first.is_over
                await first.wait(60)
                assert not second.is_over
            assert len(room) == 0

    run(work)


def test_full() -> None:
    """There are so many seats and no more; a name that has one may sit again."""

    async def work(room: WaitingRoom) -> None:
        with room.seat("a"):
            with pytest.raises(Full), room.seat("b"):
                raise AssertionError("there was no seat")
            with room.seat("a"):
                assert len(room) == 1
        with room.seat("b"):
            assert len(room) == 1

    run(work, capacity=1)


def test_close() -> None:
    """Closing ends all waiting, now and later."""

    async def work(room: WaitingRoom) -> None:
        with room.seat("a") as seat:
            room.close()
            assert seat.is_over
            await seat.wait(60)
        with room.seat("b") as late:
            assert late.is_over

    run(work)
