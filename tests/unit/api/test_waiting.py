"""Requests that wait: what wakes them, what ends them, and how many there may be."""

import asyncio

import pytest
from starlette.responses import Response

from muniment.domain.refused import Refused
from muniment_api.waiting import Until, Waiters, Waiting


class Desk:
    """Something to wait for, and a count of the looks at it."""

    def __init__(self) -> None:
        self.commits = 0
        self.is_ready = False
        self.looks = 0

    def look(self) -> bool:
        """Whether it is there."""
        self.looks += 1
        return self.is_ready

    def served(self, limit_s: float) -> Waiting[Response]:
        """A request that waits for it and tells whether it came."""
        yield Until(self.look, limit_s)
        return Response(str(self.is_ready))


def test_commit_wakes() -> None:
    """A save of this process is noticed at once, and without one the store is hardly looked into."""
    desk = Desk()
    waiters = Waiters(lambda: desk.commits)

    async def scene() -> bytes | memoryview:
        waiting = asyncio.create_task(waiters.answer("red", desk.served(60.0)))
        while not desk.looks:
            await asyncio.sleep(0)
        desk.is_ready, desk.commits = True, 1
        return (await waiting).body

    assert asyncio.run(scene()) == b"True"
    assert desk.looks == 2


def test_limit_ends_the_wait() -> None:
    """What does not come is not waited for longer than said; the request goes on and sees for itself."""
    desk = Desk()
    answer = asyncio.run(Waiters(lambda: 0).answer("red", desk.served(0.0)))
    assert answer.body == b"False"


def test_places_are_a_projects_own() -> None:
    """A project whose places are taken is refused with a time to come again; another one is served, and it itself later."""
    desk = Desk()
    waiters = Waiters(lambda: desk.commits, project_max=1)

    async def scene() -> Refused:
        waiting = asyncio.create_task(waiters.answer("red", desk.served(60.0)))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as refused:
            await waiters.answer("red", desk.served(0.0))
        await waiters.answer("blue", desk.served(0.0))
        desk.is_ready, desk.commits = True, 1
        await waiting
        await waiters.answer("red", desk.served(0.0))
        return refused.value

    refused = asyncio.run(scene())
    assert (refused.status, refused.details) == (503, {"retry_after_s": 2})


def test_place_of_a_request_that_failed_is_free_again() -> None:
    """Whatever a request ends in, it waits no longer."""

    def failing() -> Waiting[Response]:
        yield Until(lambda: True, 1.0)
        raise Refused("no", "no", status=422)

    async def scene() -> None:
        waiters = Waiters(lambda: 0, project_max=1)
        for _ in range(2):
            with pytest.raises(Refused, match="no"):
                await waiters.answer("red", failing())

    asyncio.run(scene())
