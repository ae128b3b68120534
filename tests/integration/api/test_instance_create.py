"""Creating an instance over REST: what is taken, what is refused, and that a refusal leaves nothing behind."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any
from uuid import UUID

import pytest
from tests.support.accounts import BLUE, RED
from tests.support.faults import told
from tests.support.rest_world import RestWorld, rest_world

from muniment.cloud.recipes import Kind
from muniment.domain.datastore import datastore_id, version_id
from muniment.domain.instance import INSTANCE, Instance

WANTED = {"name": "orders-db", "flavorRef": "1", "volume": {"size": 2}}
USER = {"name": "app", "password": "long-enough-1"}


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestWorld]:
    """A world in which nothing ends and no quota is in the way."""
    with rest_world(tmp_path_factory.mktemp("roomy")) as made:
        made.register("postgresql", "18", number="18", default=True)
        limits = {"instances": -1, "volumes": -1}
        made.call("PUT", f"/mgmt/quotas/{RED.id}", user="root", json={"quotas": limits})
        yield made


def _asked(world: RestWorld, **more: object) -> Any:
    body = {name: value for name, value in {**WANTED, **more}.items() if value != "absent"}
    return world.call("POST", "/instances", json={"instance": body})


def _recorded(world: RestWorld, answer: Any) -> Instance:
    assert answer.status_code == 200, answer.text
    found = world.ledger.load(INSTANCE, UUID(answer.json()["instance"]["id"]))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("more", "attribute", "meant"),
    [
        ({"flavorRef": 1}, "flavor.id", "1"),
        ({"flavorRef": "http://db.test:8779/v1.0/p/flavors/c7-large"}, "flavor.id", "c7-large"),
        ({"flavorRef": "absent", "flavor": "c7-large"}, "flavor.id", "c7-large"),
        ({"flavorRef": "absent", "flavor": {"id": "1"}}, "flavor.id", "1"),
        ({"volume": 3}, "volume_size_gib", 3),
        ({"volume": {"size": "3", "type": None}}, "volume_size_gib", 3),
        ({"datastore": {"type": "postgresql", "version": "18"}}, "datastore.name", "18"),
        ({"datastore": {"type": str(datastore_id("postgresql"))}}, "datastore.datastore", "postgresql"),
        ({"datastore": {"version": str(version_id("postgresql", "18")).upper()}}, "datastore.name", "18"),
        ({"datastore": {"version_number": "18"}}, "datastore.number", "18"),
        ({"datastore": None}, "datastore.name", "18"),
        ({"nics": [{"network_id": "net-1"}]}, "network_id", "net-1"),
        ({"nics": [{"net-id": "net-1"}]}, "network_id", "net-1"),
        ({"nics": [{"net-id": "net-1", "port-id": None, "v4-fixed-ip": ""}]}, "network_id", "net-1"),
        ({"nics": []}, "network_id", "net-1"),
        ({"access": {"is_public": True}}, "access.is_public", True),
        ({"access": {"is_public": False, "allowed_cidrs": []}}, "access.allowed_cidrs", None),
        ({"region_name": "RegionOne"}, "region", "RegionOne"),
        ({"availability_zone": "nova"}, "availability_zone", "nova"),
        ({"modules": []}, "name", "orders-db"),
        ({"replica_count": 1}, "name", "orders-db"),
        ({"slave_of": "x", "unknown": {"deep": [1]}}, "name", "orders-db"),
    ],
    ids=str,
)
def test_what_clients_send_is_understood(
    roomy: RestWorld, more: dict[str, Any], attribute: str, meant: object
) -> None:
    """The forms of Trove's contract, of gophercloud and of openstacksdk mean the same instance."""
    found = _recorded(roomy, _asked(roomy, **more))
    assert attrgetter(attribute)(found) == meant


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"name": "absent"}, 400, "name"),
    ({"name": ""}, 400, "name"),
    ({"name": "💾"}, 400, "name"),
    ({"name": "x\n"}, 400, "name"),
    ({"name": "x" * 256}, 400, "name"),
    ({"name": 7}, 400, "name"),
    ({"flavorRef": "absent"}, 400, "flavorRef"),
    ({"flavorRef": "9"}, 400, "flavor 9"),
    ({"flavorRef": True}, 400, "flavorRef"),
    ({"volume": "absent"}, 400, "volume"),
    ({"volume": {}}, 400, "size"),
    ({"volume": {"size": 0}}, 400, "size"),
    ({"volume": {"size": -1}}, 400, "size"),
    ({"volume": {"size": True}}, 400, "size"),
    ({"volume": {"size": 10**30}}, 400, "size"),
    ({"volume": {"size": 20_000}}, 413, "16384 GiB"),
    ({"volume": {"size": 1, "type": "ssd"}}, 400, "volume type ssd"),
    ({"datastore": {"type": "mongodb"}}, 404, "datastore mongodb cannot be found; there are: postgresql"),
    (
        {"datastore": {"version": "9"}},
        400,
        "version 9 of datastore postgresql cannot be found; there are: 18",
    ),
    ({"datastore": {"version": "17"}}, 400, "not active; there are: 18"),
    ({"datastore": {"version": "18", "version_number": "18.9"}}, 400, "version 18 with number 18.9"),
    ({"databases": [{"name": "postgres"}]}, 400, "reserved"),
    ({"databases": [{"name": "a"}, {"name": "a"}]}, 400, "twice"),
    ({"databases": [{"name": "x" * 64}]}, 400, "63 bytes"),
    ({"databases": [{"name": "a", "character_set": "klingon"}]}, 400, "klingon"),
    ({"databases": [{}]}, 400, "name"),
    ({"databases": {"name": "a"}}, 400, "databases"),
    ({"databases": [{"name": f"d{n}"} for n in range(101)]}, 400, "databases"),
    ({"users": [{"name": "app"}]}, 400, "password"),
    ({"users": [{"name": "app", "password": 7}]}, 400, "password"),
    ({"users": [{"name": "app", "password": ""}]}, 400, "password"),
    ({"users": [{"name": "app", "password": "a\u0000b"}]}, 400, "password"),
    ({"users": [{**USER, "name": "root"}]}, 400, "reserved"),
    ({"users": [{**USER, "name": "os_admin"}]}, 400, "reserved"),
    ({"users": [{**USER, "host": "10.0.0.1"}]}, 400, "host"),
    ({"users": [USER, USER]}, 400, "twice"),
    ({"users": [{**USER, "databases": [{"name": "elsewhere"}]}]}, 400, "elsewhere"),
    ({"configuration": str(UUID(int=7))}, 404, "configuration"),
    ({"restorePoint": {"backupRef": "x"}}, 400, "backupRef"),
    ({"restorePoint": {"backupRef": str(UUID(int=7))}}, 404, "backup"),
    ({"replica_of": str(UUID(int=7))}, 422, "replication"),
    ({"replica_count": 2}, 400, "replica_of"),
    ({"replica_count": 4}, 400, "replica_count"),
    ({"nics": [{}]}, 400, "network_id"),
    ({"nics": [{"network_id": "other"}]}, 400, "other"),
    ({"nics": [{"network_id": "net-1", "subnet_id": "s"}]}, 400, "s"),
    ({"nics": [{"network_id": "net-1", "ip_address": "10.0.0.9"}]}, 400, "addresses"),
    ({"nics": [{"network_id": "net-1", "colour": "red"}]}, 400, "colour"),
    ({"nics": [{"port-id": "p"}]}, 400, "ports"),
    ({"nics": [{"network_id": "net-1"}, {"network_id": "net-1"}]}, 400, "nics"),
    ({"access": {"allowed_cidrs": ["10.0.0.0/8"]}}, 422, "allowed_cidrs"),
    ({"access": {"allowed_cidrs": ["10.0.0.300/8"]}}, 400, "allowed_cidrs"),
    ({"access": {"is_public": "maybe"}}, 400, "is_public"),
    ({"region_name": "elsewhere"}, 400, "RegionOne"),
    ({"locality": "far"}, 400, "locality"),
    ({"modules": [{"id": str(UUID(int=7))}]}, 400, "modules"),
]


@pytest.mark.parametrize(("more", "status", "word"), REFUSALS, ids=lambda value: str(value)[:60])
def test_bad_request_is_refused_by_name(
    quiet: tuple[RestWorld, str], more: dict[str, Any], status: int, word: str
) -> None:
    """Each mistake has its status and is named; nothing is recorded, counted or kept."""
    world, _ = quiet
    before = _traces(world)
    refused = told(_asked(world, **more))
    assert refused.status == status
    assert word in refused.message
    assert _traces(world) == before


def _traces(world: RestWorld) -> tuple[object, ...]:
    with world.ledger.reading() as reader:
        return reader.head(), reader.queue(), reader.counted(RED.id)


@pytest.mark.parametrize("json", [{}, {"instance": {}}, {"instance": None}, {"instances": WANTED}, [], 7])
def test_body_of_another_shape_is_400(quiet: tuple[RestWorld, str], json: object) -> None:
    """Without the root key, or with something else below it, the message names the place."""
    assert told(quiet[0].call("POST", "/instances", json=json)).key == "badRequest"


def test_no_body_is_400(quiet: tuple[RestWorld, str]) -> None:
    """A create without a body says what it needs."""
    assert told(quiet[0].call("POST", "/instances")).message == "The request needs a JSON body."


def test_password_reaches_the_engine_and_nothing_else(live_world: RestWorld) -> None:
    """A user can log in with the password; no event and no row holds it, and once the operation ended no sealed one."""
    assert live_world.guests is not None
    password = "hunter2-hunter2-ü"
    instance = live_world.made(users=[{"name": "app", "password": password, "host": "%"}])
    live_world.settle()
    assert live_world.guests.engines[UUID(instance)].passwords == {"app": password}
    with live_world.recorder.reading() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [row["name"] for row in cursor.fetchall()]
        texts = []
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            texts.append(str([tuple(row) for row in cursor.fetchall()]))
        cursor.execute("SELECT COUNT(*) AS secrets FROM secrets")
        (left,) = cursor.fetchall()
    assert not any("hunter2" in text for text in texts)
    assert left["secrets"] == 0


def test_quota_refusal_names_every_exceeded_resource(open_world: RestWorld) -> None:
    """413 says of each resource how much is used, asked and allowed."""
    open_world.call(
        "PUT", f"/mgmt/quotas/{RED.id}", user="root", json={"quotas": {"instances": 1, "volumes": 3}}
    )
    open_world.made()
    head = open_world.ledger.log.head()
    refused = told(_asked(open_world))
    assert (refused.status, refused.key) == (413, "overLimit")
    assert "1 of 1 instances used, 1 more asked" in refused.message
    assert "2 of 3 volumes used, 2 more asked" in refused.message
    assert "ram" not in refused.message
    assert open_world.ledger.log.head() == head


def test_parallel_creates_never_exceed_the_quota(open_world: RestWorld) -> None:
    """Of fifty creates at one moment exactly as many succeed as there is room for; all others are 413."""
    answers = open_world.at_once(50, "POST", "/instances", {"instance": WANTED})
    assert sorted({answer.status_code for answer in answers}) == [200, 413]
    assert sum(answer.status_code == 200 for answer in answers) == 10
    with open_world.ledger.reading() as reader:
        assert reader.counted(RED.id)["instances"] == {"in_use": 0, "reserved": 10}


def test_one_projects_quota_is_not_anothers(open_world: RestWorld) -> None:
    """A full project does not keep another from creating."""
    open_world.call("PUT", f"/mgmt/quotas/{RED.id}", user="root", json={"quotas": {"instances": 0}})
    assert told(_asked(open_world)).status == 413
    answer = open_world.call("POST", "/instances", project=BLUE.id, json={"instance": WANTED})
    assert answer.status_code == 200


def test_failed_create_says_why_and_frees_the_quota(live_world: RestWorld) -> None:
    """What cannot be built is undone: status ERROR with a fault, nothing counted; it can be deleted."""
    assert live_world.guests is not None
    live_world.guests.cloud.errors_always.add(Kind.VOLUME)
    instance = live_world.made()
    live_world.settle()
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert shown["status"] == "ERROR"
    assert "the volume could not be made" in shown["fault"]["message"]
    with live_world.ledger.reading() as reader:
        assert reader.counted(RED.id) == {}
    assert live_world.call("DELETE", f"/instances/{instance}").status_code == 202
    live_world.settle()
    assert live_world.call("GET", f"/instances/{instance}").status_code == 404
