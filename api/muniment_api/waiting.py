"""Requests that wait for a guest or an operation: none holds a thread meanwhile, and each project has so many places."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from muniment.domain.refused import Refused

__all__ = ["PROJECT_MAX", "Until", "Waiters", "Waiting"]

T = TypeVar("T")

PROJECT_MAX: Final = 16
"""More than Terraform and its like send at once."""
_GLANCE_S: Final = 0.01
"""How often it is looked whether this process saved anything: a number in memory."""
_LOOK_S: Final = 0.2
"""How often the store is looked into all the same, for what other processes saved."""


@dataclass(frozen=True, slots=True)
class Until:
    """Something to wait for: `is_met` runs in a thread and may read the store. After `limit_s` the wait ends anyway."""

    is_met: Callable[[], bool]
    limit_s: float


Waiting = Generator[Until, None, T]
"""What a function that waits returns: it yields what for, and goes on when that is so or its time is over. It runs piece by
piece, each in any thread, so a piece may read and save, and must keep no transaction open over a `yield`."""


class Waiters:
    """The waiting requests. Used by one event loop."""

    def __init__(self, commits: Callable[[], int], *, project_max: int = PROJECT_MAX) -> None:
        """`commits` counts the saves of this process; at most `project_max` requests of a project wait at once."""
        self._commits = commits
        self._project_max = project_max
        self._places: Counter[str] = Counter()

    async def answer(self, project_id: str, process: Waiting[Response]) -> Response:
        """What the process returns.

        Raises:
            Refused: 503, as many requests of the project wait as may; or whatever the process raises.
        """
        with self._place(project_id):
            while isinstance(step := await run_in_threadpool(_advanced, process), Until):
                await self._wait(step)
            return step

    @contextmanager
    def _place(self, project_id: str) -> Iterator[None]:
        if self._places[project_id] >= self._project_max:
            raise Refused(
                "too-many-waiting",
                f"{self._project_max} requests of this project wait for their databases already; try again",
                status=503,
                details={"retry_after_s": 2},
            )
        self._places[project_id] += 1
        try:
            yield
        finally:
            self._places[project_id] -= 1
            if not self._places[project_id]:
                del self._places[project_id]

    async def _wait(self, until: Until) -> None:
        ends = anyio.current_time() + until.limit_s
        while True:
            seen = self._commits()
            if await run_in_threadpool(until.is_met) or anyio.current_time() >= ends:
                return
            look_at = min(ends, anyio.current_time() + _LOOK_S)
            while self._commits() == seen and anyio.current_time() < look_at:
                await anyio.sleep(_GLANCE_S)


def _advanced(process: Waiting[Response]) -> Until | Response:
    """What it waits for next, or its answer."""
    try:
        return next(process)
    except StopIteration as ended:
        answer: Response = ended.value
        return answer
