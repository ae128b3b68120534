"""Whatever arrives at whichever route: an answer, never an error of ours, and nothing recorded by what was refused."""

import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.support.accounts import RED
from tests.support.rest_world import RestWorld, rest_world

from muniment_api.faults import FAULT_KEYS
from muniment_api.resources.catalogue import ROUTES

PATHS = sorted({route.path for route in ROUTES})
ROUTED = st.sampled_from([(route.method, route.path) for route in ROUTES])
KEYS = [
    "instance", "name", "flavorRef", "flavor", "volume", "size", "type", "datastore", "version", "databases", "database",
    "users", "user", "password", "host", "restorePoint", "backupRef", "nics", "network_id", "net-id", "access", "is_public",
    "allowed_cidrs", "backup", "incremental", "parent_id", "description", "swift_container", "restart", "resize",
    "reset_status", "force_delete", "quotas", "instances", "configuration", "replica_of", "character_set", "modules", "id",
]  # fmt: skip
PARAMETERS = [
    "limit",
    "marker",
    "datastore",
    "instance_id",
    "backup_id",
    "project_id",
    "all_projects",
    "state",
    "cursor",
    "as_of",
]

_USER = {"name": "u", "password": "long-enough-1", "host": "%", "databases": [{"name": "orders"}]}
_INSTANCE = {
    "name": "a",
    "flavorRef": "1",
    "volume": {"size": 1, "type": None},
    "datastore": {"type": "postgresql", "version": "18", "version_number": "18"},
    "databases": [{"name": "orders", "character_set": "UTF8", "collate": "C"}],
    "users": [_USER],
    "nics": [{"network_id": "net-1", "subnet_id": None, "ip_address": None}],
    "access": {"is_public": True, "allowed_cidrs": []},
    "locality": "affinity",
    "restorePoint": {"backupRef": "00000000-0000-0000-0000-000000000007"},
}
_ONE = "/instances/{instance_id}"
MEANT: list[tuple[str, str, Any]] = [
    ("POST", "/instances", {"instance": _INSTANCE}),
    ("PUT", _ONE, {"instance": {"name": "b", "configuration": None}}),
    ("PUT", _ONE, {"instance": {"access": {"is_public": True, "allowed_cidrs": ["10.0.0.0/8"]}}}),
    ("POST", f"{_ONE}/action", {"resize": {"volume": {"size": 3}}}),
    ("POST", f"{_ONE}/action", {"restart": {}}),
    ("POST", f"{_ONE}/action", {"reset_status": {"force_delete": True}}),
    ("POST", f"{_ONE}/databases", {"databases": [{"name": "d", "character_set": "UTF8", "collate": "C"}]}),
    ("POST", f"{_ONE}/users", {"users": [_USER]}),
    ("PUT", f"{_ONE}/users", {"users": [{"name": "app", "password": "long-enough-2", "host": "%"}]}),
    ("PUT", f"{_ONE}/users/app", {"user": {"name": "app", "password": "long-enough-3", "host": "%"}}),
    ("PUT", f"{_ONE}/users/app/databases", {"databases": [{"name": "orders"}]}),
    ("POST", f"{_ONE}/root", {"password": "long-enough-4"}),
    (
        "POST",
        "/backups",
        {"backup": {"name": "b", "instance": "x", "incremental": 0, "swift_container": "c"}},
    ),
    ("PUT", "/mgmt/quotas/p-blue", {"quotas": {"instances": 3, "ram": -1}}),
]

odd_texts = st.sampled_from(
    [
        "",
        " ",
        "%",
        "..",
        "a/b",
        "a@b",
        "@",
        "%00",
        "\x00",
        "\u2028",
        "💾",
        "é" * 80,
        "x" * 3000,
        "1e9",
        "²",
        "-1",
        "null",
    ]
)
texts = odd_texts | st.text(max_size=20)
numbers = st.sampled_from([0, -1, 1, 2, 2**31, 2**63, 2**64, 10**40, 1.5, 1e308, -0.0])


class Target:
    """A live world with an active instance and a backup, whose ids are woven into requests."""

    def __init__(self, world: RestWorld) -> None:
        self.world = world
        world.register("postgresql", "18", number="18", default=True)
        world.call(
            "PUT", f"/mgmt/quotas/{RED.id}", user="root", json={"quotas": {"instances": 3, "backups": 3}}
        )
        user = {"name": "app", "password": "first-password"}
        self.instance = world.made(databases=[{"name": "orders"}], users=[user])
        world.settle()
        made = world.call("POST", "/backups", json={"backup": {"name": "b", "instance": self.instance}})
        self.backup: str = made.json()["backup"]["id"]
        world.settle()

    def send(
        self,
        method: str,
        path: str,
        *,
        user: str,
        content: bytes | None,
        kind: str | None = "application/json",
    ) -> tuple[httpx.Response, bool]:
        """The answer, and whether something was recorded meanwhile."""
        headers = {"Authorization": httpx.BasicAuth(user, f"{user}-secret")._auth_header}
        if kind is not None:
            headers["Content-Type"] = kind
        project = "p-office" if user == "root" else RED.id
        assume(method != "DELETE" or path.partition("?")[0] not in self._kept)
        self.world.settle()
        head = self.world.ledger.log.head()
        answer = self.world.http.request(method, f"/v1.0/{project}{path}", content=content, headers=headers)
        return answer, self.world.ledger.log.head() != head

    @property
    def _kept(self) -> tuple[str, str]:
        """What the other requests need."""
        return f"/instances/{self.instance}", f"/backups/{self.backup}"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One world for all requests."""
    with rest_world(tmp_path_factory.mktemp("any"), with_guests=True) as world:
        yield Target(world)


def _parts(target: Target) -> st.SearchStrategy[str]:
    known = st.sampled_from(
        [target.instance, target.backup, "app", "orders", "postgresql", "18", RED.id, "1"]
    )
    return known | texts


def _is_answer(answer: httpx.Response, was_recorded: bool) -> None:
    """A success, or a fault of Trove's form that nothing was recorded for. 503 is for guests that say nothing."""
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
    if answer.status_code >= 400:
        ((key, detail),) = answer.json().items()
        assert key == FAULT_KEYS[answer.status_code]
        assert detail["code"] == answer.status_code
        assert isinstance(detail["message"], str)
        assert not was_recorded


requests = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@requests
@given(data=st.data())
def test_any_json_at_any_route_is_answered(target: Target, data: st.DataObject) -> None:
    """Bodies of known keys with values of any kind."""
    parts = _parts(target)
    values = st.recursive(
        st.none() | st.booleans() | numbers | parts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=12,
    )
    method, pattern = data.draw(ROUTED)
    path = _filled(pattern, lambda: data.draw(parts))
    body: Any = data.draw(values)
    user = data.draw(st.sampled_from(["alice", "rita", "root"]))
    _is_answer(*target.send(method, path, user=user, content=msgspec.json.encode(body)))


@requests
@given(data=st.data())
def test_good_body_with_one_odd_part_is_answered(target: Target, data: st.DataObject) -> None:
    """Bodies that would do, but for one value somewhere in them."""
    parts = _parts(target)
    odd = st.none() | st.booleans() | numbers | parts | st.lists(parts, max_size=2) | st.just({})
    method, path, body = data.draw(st.sampled_from(MEANT))
    spoilt = _with(body, data.draw(st.sampled_from(_places(body))), data.draw(odd))
    path = path.format(instance_id=target.instance)
    _is_answer(*target.send(method, path, user="root", content=msgspec.json.encode(spoilt)))


@requests
@given(data=st.data())
def test_any_path_and_query_is_answered(target: Target, data: st.DataObject) -> None:
    """Ids, names, markers, limits and cursors of any text."""
    parts = _parts(target)
    path = _filled(data.draw(st.sampled_from(PATHS)), lambda: data.draw(parts))
    asked = data.draw(st.dictionaries(st.sampled_from(PARAMETERS), parts | numbers.map(str), max_size=3))
    query = "&".join(f"{name}={quote(value)}" for name, value in asked.items())
    user = data.draw(st.sampled_from(["alice", "root"]))
    method = data.draw(st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS"]))
    answer, was_recorded = target.send(method, f"{path}?{query}", user=user, content=None)
    if method != "HEAD":
        _is_answer(answer, was_recorded)
    assert answer.status_code < 500 or answer.status_code == 503


@requests
@given(
    route=ROUTED,
    content=st.binary(max_size=200),
    kind=st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain", "", None]),
)
@example(route=("POST", "/instances"), content=b'{"instance": {"name": "\\ud800"}}', kind="application/json")
@example(route=("POST", "/instances"), content=b"[" * 5000, kind="application/json")
@example(route=("POST", "/backups"), content=b"\xff\xfe{", kind="application/json")
def test_any_bytes_at_any_route_are_answered(
    target: Target, route: tuple[str, str], content: bytes, kind: str | None
) -> None:
    """Bodies that are no JSON, of whatever kind they say they are."""
    method, pattern = route
    path = _filled(pattern, lambda: target.instance)
    _is_answer(*target.send(method, path, user="alice", content=content, kind=kind))


def _filled(pattern: str, draw: Any) -> str:
    """A route's path with every hole filled, percent-encoded."""
    return "".join(
        text + (quote(draw(), safe="") if name is not None else "")
        for text, name, _, _ in string.Formatter().parse(pattern)
    )


def _places(body: Any, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where in a body something stands."""
    below = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [above, *(place for key, part in below for place in _places(part, (*above, key)))]


def _with(body: Any, place: tuple[Any, ...], value: object) -> Any:
    """The body with another value in one place."""
    if not place:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = _with(copy[place[0]], place[1:], value)
    return copy
