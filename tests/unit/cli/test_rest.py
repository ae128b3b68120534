"""The thin client: log-in, refusals, paging, names."""

import json
from collections.abc import Callable

import httpx
import pytest

from muniment.secret import Secret
from muniment_cli.access import Access
from muniment_cli.failure import BadInput, Failure
from muniment_cli.rest import Rest, log_in

_ACCESS = Access(
    auth_url="http://h/identity",
    username="u",
    password=Secret("p"),
    project={"id": "P"},
    user_domain={"id": "default"},
)
_CATALOG = [
    {"type": "database", "endpoints": [{"interface": "public", "region": "R", "url": "http://h/v1.0/P"}]}
]


def _http(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer))


def _rest(answer: Callable[[httpx.Request], httpx.Response]) -> Rest:
    return Rest(_http(answer), "http://h/v1.0/P", "token")


def test_log_in_finds_the_service() -> None:
    """The endpoint comes from the catalogue, and the token goes with each call."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/identity/v3/auth/tokens":
            assert json.loads(request.content)["auth"]["scope"] == {"project": {"id": "P"}}
            return httpx.Response(
                201, headers={"X-Subject-Token": "T"}, json={"token": {"catalog": _CATALOG}}
            )
        assert request.headers["X-Auth-Token"] == "T"
        return httpx.Response(200, json={"flavors": []})

    assert log_in(_http(answer), _ACCESS).get("/flavors") == {"flavors": []}


def test_no_service_in_that_region() -> None:
    """A region without the service is named."""
    access = Access(**{**{f: getattr(_ACCESS, f) for f in _ACCESS.__struct_fields__}, "region": "X"})
    answer = httpx.Response(201, headers={"X-Subject-Token": "T"}, json={"token": {"catalog": _CATALOG}})
    with pytest.raises(Failure, match="region X"):
        log_in(_http(lambda request: answer), access)


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (400, b'{"badRequest": {"code": 400, "message": "name is missing"}}', 2, "name is missing"),
        (500, b'{"instanceFault": {"code": 500, "message": "ours"}}', 1, "ours"),
        (502, b"<html>", 1, "502"),
    ],
)
def test_a_refusal_is_what_the_service_said(status: int, body: bytes, code: int, said: str) -> None:
    """The fault's message is the line; the caller's mistakes and the service's have different codes."""
    with pytest.raises(Failure, match=said) as caught:
        _rest(lambda request: httpx.Response(status, content=body)).get("/instances")
    assert caught.value.code == code


def test_an_unreachable_service_asks_for_up() -> None:
    """A connection that fails is a line with the next step."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Failure, match="muniment up"):
        _rest(answer).get("/instances")


def test_every_page_is_read() -> None:
    """A collection is read to its end, page by page."""
    items = [{"id": f"{n:03}", "name": "n"} for n in range(250)]

    def answer(request: httpx.Request) -> httpx.Response:
        marker = request.url.params.get("marker")
        start = 0 if marker is None else int(marker) + 1
        return httpx.Response(
            200, json={"instances": items[start : start + int(request.url.params["limit"])]}
        )

    assert list(_rest(answer).all("instances")) == items


def _two_of_a_name(request: httpx.Request) -> httpx.Response:
    listed = [{"id": "1", "name": "a"}, {"id": "2", "name": "a"}, {"id": "3", "name": "b"}]
    last = request.url.path.rpartition("/")[2]
    if last == "instances":
        return httpx.Response(200, json={"instances": listed})
    return httpx.Response(200, json={"instance": {"id": last, "created": f"day {last}"}})


def test_a_thing_is_found_by_name_or_id() -> None:
    """An id goes before a name, and what is found is shown in full."""
    rest = _rest(_two_of_a_name)
    assert rest.find("instances", "2") == {"id": "2", "created": "day 2"}
    assert rest.find("instances", "b") == {"id": "3", "created": "day 3"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a", "2 instances go by a; .*: 1 [(]created day 1[)], 2 [(]created day 2[)]$"),
        ("c", "no instance is named c"),
    ],
)
def test_a_doubtful_name_is_refused(name: str, said: str) -> None:
    """A name of several things, or of none, is not guessed at."""
    with pytest.raises(BadInput, match=said):
        _rest(_two_of_a_name).find("instances", name)
