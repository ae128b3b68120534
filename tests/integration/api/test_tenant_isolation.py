"""Tenant isolation, route by route: a route without a row here fails the test that compares the two tables."""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest
from tests.support.accounts import BLUE, OFFICE
from tests.support.rest_world import RestWorld, rest_world

from muniment.domain.backup import BackupRequested
from muniment.domain.datastore import version_id
from muniment.domain.event import About
from muniment.domain.instance import VersionFacts
from muniment_api.resources.catalogue import ROUTES
from muniment_api.route import Route

INSTANCE, BACKUP, OPERATION = "instance {instance_id}", "backup {backup_id}", "operation {operation_id}"
"""What is not found, as the refusal words it: so the 404 comes from looking for it, and not from elsewhere."""


class Row(NamedTuple):
    """What a member of another project must get: not found, refused, or nothing of the owner's (200).

    The body is one that the owner could send; holes in it and in the route's path are filled with the owner's things.
    """

    missing: str | None = None
    status: int = 200
    body: object = None
    path: str | None = None


def _create(**more: object) -> dict[str, object]:
    wanted = {"name": "copy", "flavorRef": "1", "volume": {"size": 1}, "datastore": {"type": "postgresql"}}
    return {"instance": {**wanted, **more}}


_ACCOUNT = {"name": "app", "password": "long-enough-1"}
_UNKNOWN = "00000000-0000-0000-0000-000000000000"

ROWS: dict[str, Row] = {
    "GET /instances": Row(),
    "GET /instances/detail": Row(),
    "POST /instances": Row(BACKUP, body=_create(restorePoint={"backupRef": "{backup_id}"})),
    "GET /instances/{instance_id}": Row(INSTANCE),
    "PUT /instances/{instance_id}": Row(INSTANCE, body={"instance": {"name": "mine"}}),
    "PATCH /instances/{instance_id}": Row(INSTANCE, body={"instance": {"name": "mine"}}),
    "DELETE /instances/{instance_id}": Row(INSTANCE),
    "POST /instances/{instance_id}/action": Row(INSTANCE, body={"restart": {}}),
    "GET /instances/{instance_id}/backups": Row(INSTANCE),
    "GET /instances/{instance_id}/databases": Row(INSTANCE),
    "POST /instances/{instance_id}/databases": Row(INSTANCE, body={"databases": [{"name": "orders"}]}),
    "GET /instances/{instance_id}/databases/{name}": Row(INSTANCE),
    "DELETE /instances/{instance_id}/databases/{name}": Row(INSTANCE),
    "GET /instances/{instance_id}/users": Row(INSTANCE),
    "POST /instances/{instance_id}/users": Row(INSTANCE, body={"users": [_ACCOUNT]}),
    "PUT /instances/{instance_id}/users": Row(INSTANCE, body={"users": [_ACCOUNT]}),
    "GET /instances/{instance_id}/users/{user}": Row(INSTANCE),
    "POST /instances/{instance_id}/users/{user}": Row(INSTANCE, body={"users": _ACCOUNT}),
    "PUT /instances/{instance_id}/users/{user}": Row(INSTANCE, body={"user": {"password": "long-enough-2"}}),
    "DELETE /instances/{instance_id}/users/{user}": Row(INSTANCE),
    "GET /instances/{instance_id}/users/{user}/databases": Row(INSTANCE),
    "PUT /instances/{instance_id}/users/{user}/databases": Row(
        INSTANCE, body={"databases": [{"name": "orders"}]}
    ),
    "DELETE /instances/{instance_id}/users/{user}/databases/{name}": Row(INSTANCE),
    "GET /instances/{instance_id}/root": Row(INSTANCE),
    "POST /instances/{instance_id}/root": Row(INSTANCE, body={}),
    "DELETE /instances/{instance_id}/root": Row(INSTANCE),
    "GET /backups": Row(path="/backups?instance_id={instance_id}"),
    "POST /backups": Row(INSTANCE, body={"backup": {"name": "mine", "instance": "{instance_id}"}}),
    "GET /backups/{backup_id}": Row(BACKUP),
    "DELETE /backups/{backup_id}": Row(BACKUP),
    "GET /operations": Row(),
    "GET /operations/{operation_id}": Row(OPERATION),
    "POST /operations/{operation_id}/cancel": Row(OPERATION),
    "GET /events": Row(path="/events?instance_id={instance_id}"),
    "GET /limits": Row(),
    "GET /mgmt/quotas/{quota_project_id}": Row(status=403),
    "PUT /mgmt/quotas/{quota_project_id}": Row(status=403, body={"quotas": {"instances": 99}}),
    # nobody's, so everybody's
    "GET /datastores": Row(),
    "GET /datastores/{datastore}": Row(),
    "GET /datastores/versions/{version_id}": Row(),
    "GET /datastores/{datastore}/versions": Row(),
    "GET /datastores/{datastore}/versions/{version}": Row(),
    "GET /datastores/{datastore}/versions/{version}/flavors": Row(),
    "GET /datastores/{datastore}/versions/{version}/volume-types": Row(),
    "GET /flavors": Row(),
    "GET /flavors/{flavor_id}": Row(),
}

NOT_PUBLIC_LISTS = ("?project_id={quota_project_id}", "?all_projects=true")

every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
every_write = pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.method != "GET"],
    ids=lambda route: f"{route.method} {route.path}",
)


class Owned:
    """A world in which the blue project owns an instance, a backup and an operation, and the red one nothing.

    Alice is a member of both; asking below red she is the stranger, below blue the owner.
    """

    def __init__(self, world: RestWorld) -> None:
        self.world = world
        world.register("postgresql", "18", number="18.6", default=True)
        made = world.call("POST", "/instances", project=BLUE.id, json=_create(name="orders-db"))
        assert made.status_code == 200, made.text
        operations = world.call("GET", "/operations", project=BLUE.id).json()["operations"]
        self.things = {
            "instance_id": made.json()["instance"]["id"],
            "backup_id": self._backup(made.json()["instance"]["id"]),
            "operation_id": operations[0]["id"],
            "quota_project_id": BLUE.id,
            "user": "app",
            "name": "orders",
            "datastore": "postgresql",
            "version": "18",
            "version_id": str(version_id("postgresql", "18")),
            "flavor_id": "1",
        }

    def ask(self, route: Route, *, user: str = "alice", project: str | None = None) -> httpx.Response:
        """The row's request."""
        row = ROWS[f"{route.method} {route.path}"]
        path = (row.path or route.path).format(**self.things)
        return self.world.call(route.method, path, user=user, project=project, json=self._filled(row.body))

    def _filled(self, part: object) -> object:
        if isinstance(part, dict):
            return {key: self._filled(value) for key, value in part.items()}
        if isinstance(part, list):
            return [self._filled(value) for value in part]
        return part.format(**self.things) if isinstance(part, str) else part

    def _backup(self, instance_id: str) -> str:
        """A backup as its first event makes it: no guest is here to finish one."""
        requested = BackupRequested(
            originator_id=uuid4(),
            originator_version=1,
            instance_id=instance_id,  # type: ignore[arg-type]
            name="before",
            datastore=VersionFacts(
                datastore="postgresql",
                version_id=version_id("postgresql", "18"),
                name="18",
                number="18.6",
                driver="postgresql",
            ),
        )
        saved = self.world.ledger.save([requested], About(project_id=BLUE.id, actor="test"))
        assert self.world.arrivals.wait_for(saved.position, 10)
        return str(requested.originator_id)


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """One world for all tests: none of them may change anything in it."""
    with rest_world(tmp_path_factory.mktemp("world")) as world:
        yield Owned(world)


def test_every_route_has_a_row() -> None:
    """The two tables name the same routes."""
    assert {f"{route.method} {route.path}" for route in ROUTES} == ROWS.keys()


@every_route
def test_stranger_gets_nothing_of_others(owned: Owned, route: Route) -> None:
    """Below its own project a stranger does not find, is refused, or is not shown what another owns; nothing happens."""
    row = ROWS[f"{route.method} {route.path}"]
    head = owned.world.ledger.log.head()
    answer = owned.ask(route)
    if row.missing is None:
        assert answer.status_code == row.status
        assert not any(
            owned.things[name] in answer.text for name in ("instance_id", "backup_id", "operation_id")
        )
    else:
        assert answer.status_code == 404
        message = f"{row.missing.format(**owned.things)} cannot be found"
        assert answer.json() == {"itemNotFound": {"code": 404, "message": message}}
    assert owned.world.ledger.log.head() == head


@pytest.mark.parametrize("path", ["/instances", "/instances/detail", "/backups", "/operations", "/events"])
@pytest.mark.parametrize("query", NOT_PUBLIC_LISTS)
def test_stranger_cannot_widen_a_list(owned: Owned, path: str, query: str) -> None:
    """Asking for another project's, or for all projects', is refused or ignored."""
    answer = owned.world.call("GET", path + query.format(**owned.things))
    assert answer.status_code in (200, 403)
    assert not any(owned.things[name] in answer.text for name in ("instance_id", "backup_id", "operation_id"))


@pytest.mark.parametrize("path", ["/instances", "/instances/detail", "/backups"])
def test_marker_of_others_is_unknown(owned: Owned, path: str) -> None:
    """Whether something exists is not told by a page that begins behind it."""
    for name in ("instance_id", "backup_id"):
        theirs = owned.world.call("GET", f"{path}?marker={owned.things[name]}")
        nobodys = owned.world.call("GET", f"{path}?marker={_UNKNOWN}")
        assert theirs.status_code == nobodys.status_code == 400
        assert theirs.text.replace(owned.things[name], "") == nobodys.text.replace(_UNKNOWN, "")


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.method == "GET" and "quota" not in route.path],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_owner_finds_what_the_stranger_does_not(owned: Owned, route: Route) -> None:
    """The same requests by the owner find the things, or these tests would prove nothing."""
    answer = owned.ask(route, project=BLUE.id)
    found = answer.status_code != 404 or "instance" not in answer.json()["itemNotFound"]["message"].split()[0]
    assert found, answer.text


@every_route
def test_foreign_project_in_the_path_is_403(owned: Owned, route: Route) -> None:
    """Below a project that is not the caller's everything is refused before it is looked at; for administrators as well."""
    for user, project in (("rita", OFFICE.id), ("root", BLUE.id)):
        assert owned.ask(route, user=user, project=project).status_code == 403


@every_route
def test_without_a_token_it_is_401(owned: Owned, route: Route) -> None:
    """No route answers somebody unknown."""
    path = route.path.format(**owned.things)
    assert owned.world.http.request(route.method, f"/v1.0/{BLUE.id}{path}").status_code == 401


@every_write
def test_reader_writes_nothing(owned: Owned, route: Route) -> None:
    """Whoever may only read in the owner's project is refused by policy; nothing is recorded."""
    head = owned.world.ledger.log.head()
    assert owned.ask(route, user="rita", project=BLUE.id).status_code == 403
    assert owned.world.ledger.log.head() == head


def test_administrator_finds_instances_of_every_project(owned: Owned) -> None:
    """Below its own project an administrator shows any project's things by id."""
    for path in ("/instances/{instance_id}", "/backups/{backup_id}", "/operations/{operation_id}"):
        answer = owned.world.call("GET", path.format(**owned.things), user="root", project=OFFICE.id)
        assert answer.status_code == 200


def test_volume_of_another_project_is_not_found(owned: Owned) -> None:
    """Growth is an action with limits of its own: they are not told, nor counted, before the instance is one's own."""
    head = owned.world.ledger.log.head()
    path = f"/instances/{owned.things['instance_id']}/action"
    answer = owned.world.call("POST", path, user="alice", json={"resize": {"volume": {"size": 1_000}}})
    assert answer.status_code == 404
    assert owned.world.ledger.log.head() == head
