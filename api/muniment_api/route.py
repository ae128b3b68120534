"""Routes of the REST API: a method, a path below the project, the policy rule, and what answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from muniment_api.call import Call
from muniment_api.policy import POLICY
from muniment_api.waiting import Waiting

__all__ = ["Handler", "Route"]

Handler = (
    Callable[[Call], Response] | Callable[[Call], Waiting[Response]] | Callable[[Call], Awaitable[Response]]
)
"""Answers a call. A plain function runs in a thread, since it may wait for a disk. A generator function does so piece by
piece: it yields where it waits for a guest or an operation, and holds no thread there, so that silent guests hold up nobody
who asks for something else. A coroutine function must not block."""


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is what follows `/v1.0/{project_id}`; `rule` is a row of the policy table."""

    method: str
    path: str
    rule: str
    handler: Handler

    def __post_init__(self) -> None:
        assert self.rule in POLICY, f"{self.method} {self.path}: no policy rule is named {self.rule}"
        assert self.path.startswith("/"), self.path
