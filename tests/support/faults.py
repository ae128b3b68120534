"""What an answer of the REST API refuses, in the fault form of Trove."""

from typing import NamedTuple

import httpx

__all__ = ["Told", "told"]


class Told(NamedTuple):
    """A fault: its status, its key, and its words."""

    status: int
    key: str
    message: str


def told(answer: httpx.Response) -> Told:
    """The fault in an answer; an assertion fails when it is none, or not of the one form that clients read."""
    body = answer.json()
    assert isinstance(body, dict)
    ((key, detail),) = body.items()
    assert detail["code"] == answer.status_code >= 400
    assert detail["message"]
    return Told(answer.status_code, key, detail["message"])
