"""The frame: who gets in, what is refused before a handler runs, and how answers look."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import pytest
import structlog
from starlette.responses import Response
from tests.support.accounts import BLUE, CHEAP, OFFICE, RED, users_file
from tests.support.asgi import AsgiClient

from muniment.clock import ManualClock
from muniment.domain.refused import NotFound, Refused
from muniment.fault import Fault
from muniment.store.chain import BrokenChain, StoredRow
from muniment_api.app import create_app
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.auth.logins import Logins
from muniment_api.call import Call
from muniment_api.paging import listing, page_of
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.settings import ApiSettings


class Rename(msgspec.Struct):
    """A body."""

    name: str


def _echo(call: Call) -> Response:
    return JsonResponse(
        {
            "user": call.caller.user_name,
            "project": call.caller.project_id,
            "actor": call.about.actor,
            "request_id": call.about.request_id,
            "id": call.path("id"),
        }
    )


def _rename(call: Call) -> Response:
    call.body(Rename)
    return accepted()


async def _pages(call: Call) -> Response:
    page = page_of(call.query, size=2)
    numbers = list(range(page.offset, 5))[: page.limit]
    more = page.offset + page.limit
    return listing(call, "numbers", numbers, str(more) if more < 5 else None)


def _raise(error: Exception) -> Callable[[Call], Response]:
    def handler(call: Call) -> Response:
        raise error

    return handler


_ALTERED = BrokenChain(StoredRow(7, UUID(int=1), 2, "t", b"", b"", b""), "was altered")

ROUTES = (
    Route("GET", "/things/{id}", "instance:show", _echo),
    Route("PUT", "/things/{id}", "instance:update", _rename),
    Route("GET", "/numbers", "instance:index", _pages),
    Route("GET", "/refused", "instance:index", _raise(Refused("full", "no room", status=413))),
    Route("GET", "/lost", "instance:index", _raise(NotFound("instance", "x"))),
    Route("GET", "/fault", "instance:index", _raise(Fault("store", "/var/db is full"))),
    Route("GET", "/broken", "instance:index", _raise(Fault("store", "chain broken", retryable=False))),
    Route("GET", "/altered", "instance:index", _raise(_ALTERED)),
    Route("GET", "/bug", "instance:index", _raise(RuntimeError("inner words"))),
    Route("GET", "/admin", "quota:update", _echo),
)


def _check() -> None:
    """Well."""


def _failing_check() -> None:
    raise Fault("store", "/var/db is gone")


class Frame:
    """An application with routes that do what a test wants to see."""

    def __init__(self, folder: Path, settings: ApiSettings | None = None, *, well: bool = True) -> None:
        settings = settings or ApiSettings()
        clock = ManualClock()
        users = users_file(folder)
        identity = EmbeddedIdentity(users, clock, logins=Logins(users, clock, cost=CHEAP))
        app = create_app(
            identity=identity,
            services=None,  # type: ignore[arg-type]  # no handler here asks for one
            settings=settings,
            checks={"store": _check if well else _failing_check},
            identity_app=keystone_app(identity, settings),
            routes=ROUTES,
        )
        self.http = AsgiClient(app)

    def call(
        self,
        method: str,
        path: str,
        *,
        user: str = "alice",
        headers: dict[str, str] | None = None,
        **more: object,
    ) -> httpx.Response:
        """A request below the red project with HTTP Basic."""
        basic = httpx.BasicAuth(user, f"{user}-secret")._auth_header
        return self.http.request(
            method,
            f"/v1.0/{RED.id}{path}",
            headers={"Authorization": basic, **(headers or {})},
            **more,  # type: ignore[arg-type]
        )


@pytest.fixture
def frame(tmp_path: Path) -> Iterator[Frame]:
    """A fresh application."""
    made = Frame(tmp_path)
    with made.http:
        yield made


@pytest.mark.parametrize("path", ["/v1.0", "/v1.0/"])
def test_version_documents_need_no_token(frame: Frame, path: str) -> None:
    """Both documents are open and link to where they were asked for."""
    version = frame.http.get(path).json()["version"]
    assert version["links"] == [{"rel": "self", "href": "http://db.test:8779/v1.0/"}]
    assert version["status"] == "CURRENT"
    assert frame.http.get("/").json() == {"versions": [version]}


def test_version_that_is_not_served_is_406(frame: Frame) -> None:
    """A client that insists on another version is told so."""
    asked = "application/vnd.openstack.trove+json;version={}"
    assert frame.http.get("/", Accept=asked.format("1.0")).status_code == 200
    refused = frame.http.get("/", Accept=asked.format("2.0"))
    assert (refused.status_code, list(refused.json())) == (406, ["notAcceptable"])


def test_health_is_open_and_tells_no_insides(frame: Frame, tmp_path: Path) -> None:
    """Both health documents answer; a failing part makes 503 and is named without its words."""
    assert frame.http.get("/healthcheck").text == "OK"
    assert frame.http.get("/healthz").json() == {"status": "ok", "checks": {"store": "ok"}}
    (tmp_path / "ill").mkdir()
    ill = Frame(tmp_path / "ill", well=False)
    with ill.http:
        answer = ill.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "failing", "checks": {"store": "failing"}})


def test_caller_reaches_the_handler(frame: Frame) -> None:
    """A token's user, project and request id are what a handler works with."""
    identity = {"methods": ["password"], "password": {"user": {"name": "alice", "password": "alice-secret"}}}
    scope = {"project": {"id": BLUE.id}}
    told = frame.http.request(
        "POST", "/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
    )
    answer = frame.http.get(f"/v1.0/{BLUE.id}/things/7", X_Auth_Token=told.headers["X-Subject-Token"])
    assert answer.json() == {
        "user": "alice",
        "project": BLUE.id,
        "actor": "user:u-alice",
        "request_id": answer.headers["X-Openstack-Request-Id"],
        "id": "7",
    }


def test_basic_acts_in_the_paths_project(frame: Frame) -> None:
    """HTTP Basic has no project of its own: it acts in the path's, where the user has a role."""
    basic = httpx.BasicAuth("alice", "alice-secret")._auth_header
    answer = frame.http.get(f"/v1.0/{BLUE.id}/things/7", Authorization=basic)
    assert answer.json()["project"] == BLUE.id


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Auth-Token": "none"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic bm9jb2xvbg=="},
        {"Authorization": "Basic " + "QUFB" * 2000},
    ],
)
def test_no_valid_proof_is_401(frame: Frame, headers: dict[str, str]) -> None:
    """Nothing, an unknown token, another scheme, no colon, absurd length: 401 on every path of a project."""
    for path in ("/things/7", "/nowhere"):
        answer = frame.http.request("GET", f"/v1.0/{RED.id}{path}", headers=headers)
        assert (answer.status_code, list(answer.json())) == (401, ["unauthorized"])
        assert answer.headers["WWW-Authenticate"] == 'Keystone uri="http://db.test:8779/identity"'


@pytest.mark.parametrize("value", ["Basic ***", "Basic /w==", "Basic"])
def test_basic_that_is_no_base64_of_text_is_a_4xx(frame: Frame, value: str) -> None:
    """A spoilt header is the caller's mistake."""
    assert frame.http.get(f"/v1.0/{RED.id}/things/7", Authorization=value).status_code in (400, 401)


def test_other_project_in_the_path_is_403(frame: Frame) -> None:
    """The path's project must be the proof's, on known and unknown paths alike, whoever asks."""
    for user, project in (("rita", OFFICE.id), ("root", BLUE.id)):
        basic = httpx.BasicAuth(user, f"{user}-secret")._auth_header
        for path in ("/things/7", "/nowhere"):
            answer = frame.http.get(f"/v1.0/{project}{path}", Authorization=basic)
            assert (answer.status_code, list(answer.json())) == (403, ["forbidden"])


def test_unscoped_token_reaches_no_project(frame: Frame) -> None:
    """A token without a project is refused below any."""
    identity = {"methods": ["password"], "password": {"user": {"name": "alice", "password": "alice-secret"}}}
    body = {"auth": {"identity": identity, "scope": "unscoped"}}
    value = frame.http.request("POST", "/identity/v3/auth/tokens", json=body).headers["X-Subject-Token"]
    answer = frame.http.get(f"/v1.0/{RED.id}/things/7", X_Auth_Token=value)
    assert answer.status_code == 403
    assert "not scoped" in answer.json()["forbidden"]["message"]


def test_policy_decides_by_role(frame: Frame) -> None:
    """A reader reads and does not write; a member does not administer."""
    assert frame.call("GET", "/things/7", user="rita").status_code == 200
    refused = frame.call("PUT", "/things/7", user="rita", json={"name": "x"})
    assert refused.status_code == 403
    assert refused.json()["forbidden"]["message"] == "Policy doesn't allow instance:update to be performed."
    assert frame.call("GET", "/admin").status_code == 403


def test_unknown_path_and_wrong_method_are_404(frame: Frame) -> None:
    """Trove has no 405."""
    for method, path in (("GET", "/nowhere"), ("DELETE", "/things/7"), ("GET", ""), ("POST", "/numbers")):
        answer = frame.call(method, path)
        assert (answer.status_code, list(answer.json())) == (404, ["itemNotFound"])
    assert list(frame.http.get("/elsewhere").json()) == ["itemNotFound"]
    assert frame.http.request("POST", "/").status_code == 404


def test_accepted_is_empty_json(frame: Frame) -> None:
    """A 202 has no body and still says it is JSON."""
    answer = frame.call("PUT", "/things/7", json={"name": "x", "unknown": 1})
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"name": "x"}', "application/json; charset=UTF-8", 202),
        (b'{"name": "x"}', "application/xml", 415),
        (b'{"name": "x"}', "application/x-www-form-urlencoded", 415),
        (b'{"name": "x"}', "application/json; charset=latin-1", 415),
        (b"", "text/plain", 400),
        (b'{"name": 7}', "application/json", 400),
        (b"{}", "application/json", 400),
        (b"[" * 100 + b"]" * 100, "application/json", 400),
        (b'{"name": "' + b"x" * 2000 + b'"}', "application/json", 413),
    ],
)
def test_bodies_are_json_and_bounded(tmp_path: Path, content: bytes, kind: str, status: int) -> None:
    """Another content type is 415, another shape 400, too much 413, each in the fault body."""
    frame = Frame(tmp_path, ApiSettings(body_bytes_max=1024))
    with frame.http:
        answer = frame.call("PUT", "/things/7", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    if status != 202:
        assert [detail["code"] for detail in answer.json().values()] == [status]


def test_body_without_a_type_is_ignored(frame: Frame) -> None:
    """A body that does not say what it is counts as none."""
    answer = frame.call("PUT", "/things/7", content=b'{"name": "x"}')
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"] == "The request needs a JSON body."


def test_message_names_the_place(frame: Frame) -> None:
    """A validation error says where."""
    message = frame.call("PUT", "/things/7", json={"name": 7}).json()["badRequest"]["message"]
    assert message == "Validation error: name must be text, not a whole number"


@pytest.mark.parametrize(
    ("path", "status", "key"),
    [("/refused", 413, "overLimit"), ("/lost", 404, "itemNotFound"), ("/fault", 503, "serviceUnavailable")],
)
def test_what_a_handler_raises_becomes_troves_fault(frame: Frame, path: str, status: int, key: str) -> None:
    """A refusal has its status and words; a fault of the world is 503 and keeps its words to the log."""
    answer = frame.call("GET", path)
    assert (answer.status_code, list(answer.json())) == (status, [key])
    assert answer.json()[key]["code"] == status
    assert "/var/db" not in answer.text


@pytest.mark.parametrize("path", ["/bug", "/broken"])
def test_bug_is_500_with_an_id_that_the_log_has(frame: Frame, path: str) -> None:
    """An unexpected error shows nothing but an id, under which the log has it; request ids are there as always."""
    with structlog.testing.capture_logs() as records:
        answer = frame.call("GET", path)
    detail = answer.json()["instanceFault"]
    logged = [record for record in records if record["log_level"] == "error"]
    assert answer.status_code == 500
    assert "inner words" not in detail["message"]
    assert logged[0]["error_id"] in detail["message"]
    assert answer.headers["X-Compute-Request-Id"].startswith("req-")


def test_a_broken_history_is_no_bug(frame: Frame) -> None:
    """The caller gets an id; the log says in one line, under that id, where the history is broken and what to run."""
    with structlog.testing.capture_logs() as records:
        answer = frame.call("GET", "/altered")
    told = [record for record in records if record["log_level"] == "error"]
    assert answer.status_code == 500
    assert [record["event"] for record in told] == [
        "the history is broken at position 7; run muniment verify"
    ]
    assert told[0]["error_id"] in answer.json()["instanceFault"]["message"]
    assert not {"traceback", "exc_info"} & set(told[0])


def test_every_answer_has_its_request_id_twice(frame: Frame) -> None:
    """Both header names carry one id, new for each request, whatever the caller sent."""
    sent = "req-00000000-0000-4000-8000-000000000000"
    answers = [
        frame.http.get(path, X_Openstack_Request_Id=sent) for path in ("/", "/nowhere", "/v1.0/p/instances")
    ]
    ids = {answer.headers["X-Openstack-Request-Id"] for answer in answers}
    assert len(ids) == 3
    assert sent not in ids
    assert all(a.headers["X-Compute-Request-Id"] == a.headers["X-Openstack-Request-Id"] for a in answers)


def test_names_in_paths_may_hold_anything(frame: Frame) -> None:
    """A name with dots, percent signs or an encoded slash arrives as it was meant."""
    for sent, meant in (
        ("a.b.json", "a.b.json"),
        ("u%40%25", "u@%"),
        ("a%2Fb", "a/b"),
        ("%C3%BC", "ü"),
        ("a%252Fb", "a%2Fb"),
    ):
        assert frame.call("GET", f"/things/{sent}").json()["id"] == meant
    assert frame.call("GET", "/things/%FF").status_code == 404


def test_pages_link_to_the_next_until_the_last(frame: Frame) -> None:
    """Following `next` as it is visits every item once; both keys carry the link, the last page none."""
    seen: list[int] = []
    path = "/numbers?limit=2&tag=a%20b"
    while path:
        body = frame.call("GET", path).json()
        seen += body["numbers"]
        assert body.get("links") == body.get("numbers_links")
        assert path.count("marker=") <= 1
        path = body["links"][0]["href"].partition(f"/v1.0/{RED.id}")[2] if "links" in body else ""
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "marker=x", "marker=-1"]
)
def test_spoilt_pages_are_400(frame: Frame, query: str) -> None:
    """A limit that is no positive number and a marker that is none are refused."""
    assert frame.call("GET", f"/numbers?{query}").status_code == 400


def test_limit_is_cut(frame: Frame) -> None:
    """More than a page is not given, however large the number."""
    assert len(frame.call("GET", f"/numbers?limit={'9' * 50}").json()["numbers"]) == 2


def test_route_with_an_unknown_rule_cannot_be_made() -> None:
    """Every route names a row of the policy table."""
    with pytest.raises(AssertionError, match="no policy rule"):
        Route("GET", "/x", "instance:shwo", _echo)


def test_public_endpoint_replaces_the_requests_host(tmp_path: Path) -> None:
    """Behind a proxy, links and the catalogue begin with the endpoint that was configured."""
    endpoint = "https://db.example.org"
    frame = Frame(tmp_path, ApiSettings(public_endpoint=endpoint))
    identity = {"methods": ["password"], "password": {"user": {"name": "alice", "password": "alice-secret"}}}
    with frame.http:
        version = frame.http.get("/v1.0", Host="10.0.0.7:8779").json()["version"]
        token = frame.http.request(
            "POST", "/identity/v3/auth/tokens", json={"auth": {"identity": identity}}
        ).json()["token"]
    assert version["links"][0]["href"] == f"{endpoint}/v1.0/"
    assert {e["url"] for s in token["catalog"] for e in s["endpoints"]} == {
        f"{endpoint}/identity/v3",
        f"{endpoint}/v1.0/{RED.id}",
    }


def test_identity_is_below_the_same_port(frame: Frame) -> None:
    """The Keystone surface answers in its own form, with request ids."""
    answer = frame.http.get("/identity/v3/nowhere")
    assert (answer.status_code, list(answer.json())) == (401, ["error"])
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
    assert frame.http.get("/identity").status_code == 300
