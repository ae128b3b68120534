"""Databases, users and grants of a running instance over REST."""

from uuid import UUID, uuid4

import pytest
from tests.support.faults import told
from tests.support.rest_world import RestWorld

from muniment.contract.errors import Code, GuestError

Quiet = tuple[RestWorld, str]


def _names(world: RestWorld, path: str, key: str) -> list[str]:
    return [entry["name"] for entry in world.call("GET", path).json()[key]]


def test_database_comes_and_goes(live_world: RestWorld, instance: str) -> None:
    """Created databases are listed by name alone and shown with their locale; a dropped one is gone."""
    path = f"/instances/{instance}/databases"
    wanted = {"databases": [{"name": "a.b", "character_set": "UTF8", "collate": "C"}, {"name": "Späti 7"}]}
    answer = live_world.call("POST", path, json=wanted)
    live_world.settle()
    assert (answer.status_code, answer.content) == (202, b"")
    assert live_world.call("GET", path).json() == {
        "databases": [{"name": "Späti 7"}, {"name": "a.b"}, {"name": "audit"}, {"name": "orders"}]
    }
    shown = live_world.call("GET", f"{path}/a.b").json()["database"]
    assert shown == {"name": "a.b", "character_set": "UTF8", "collate": "C"}
    for encoded in ("a.b", "Sp%C3%A4ti%207"):
        assert live_world.call("DELETE", f"{path}/{encoded}").status_code == 202
    live_world.settle()
    assert _names(live_world, path, "databases") == ["audit", "orders"]


def test_single_database_is_taken(live_world: RestWorld, instance: str) -> None:
    """openstacksdk sends one object as `database`."""
    path = f"/instances/{instance}/databases"
    assert live_world.call("POST", path, json={"database": {"name": "one"}}).status_code == 202
    live_world.settle()
    assert "one" in _names(live_world, path, "databases")


def test_databases_and_users_come_in_pages(live_world: RestWorld, instance: str) -> None:
    """Markers are names, and `name@host` for users, encoded once or twice; `next` leads on to the end."""
    people = [{"name": f"u{n}", "password": "long-enough-1"} for n in range(2)]
    assert live_world.call("POST", f"/instances/{instance}/users", json={"users": people}).status_code == 202
    live_world.settle()
    for what, marker in (("databases", "audit"), ("users", "app%40%25")):
        body = live_world.call("GET", f"/instances/{instance}/{what}?limit=1").json()
        href = body["links"][0]["href"]
        assert body[f"{what}_links"] == body["links"]
        assert href.endswith(f"limit=1&marker={marker}")
        rest = live_world.call("GET", f"/instances/{instance}/{what}?marker={marker.replace('%', '%25')}")
        assert [entry["name"] for entry in rest.json()[what]] == {
            "databases": ["orders"],
            "users": ["u0", "u1"],
        }[what]
        assert "links" not in rest.json()


def test_user_comes_changes_and_goes(live_world: RestWorld, instance: str) -> None:
    """Created, renamed with another password, dropped: each is a 202, and the engine has it."""
    assert live_world.guests is not None
    engine, path = live_world.guests.engines[UUID(instance)], f"/instances/{instance}/users"
    user = {"name": "eve", "password": "first-pw", "host": "%", "databases": [{"name": "audit"}]}
    assert live_world.call("POST", path, json={"users": [user]}).status_code == 202
    live_world.settle()
    assert live_world.call("GET", f"{path}/eve").json() == {
        "user": {"name": "eve", "host": "%", "databases": [{"name": "audit"}]}
    }
    change = {"user": {"name": "eva", "password": "second-pw"}}
    assert live_world.call("PUT", f"{path}/eve%40%25", json=change).status_code == 202
    live_world.settle()
    assert engine.passwords["eva"] == "second-pw"
    assert _names(live_world, path, "users") == ["app", "eva"]
    assert live_world.call("DELETE", f"{path}/eva").status_code == 202
    live_world.settle()
    assert told(live_world.call("GET", f"{path}/eva")).key == "itemNotFound"


def test_sdks_single_user_is_taken(live_world: RestWorld, instance: str) -> None:
    """openstacksdk posts one object to the user's own path; it must be the one in the path."""
    path, user = f"/instances/{instance}/users", {"name": "sdk", "password": "long-enough-1"}
    assert live_world.call("POST", f"{path}/sdk", json={"users": user}).status_code == 202
    live_world.settle()
    assert "sdk" in _names(live_world, path, "users")
    assert told(live_world.call("POST", f"{path}/other", json={"users": user})).status == 400


def test_passwords_change_together(live_world: RestWorld, instance: str) -> None:
    """Several passwords are set by one request, each by its own operation."""
    assert live_world.guests is not None
    path = f"/instances/{instance}/users"
    live_world.call("POST", path, json={"users": [{"name": "eve", "password": "old-old-old"}]})
    live_world.settle()
    wanted = [{"name": "app", "password": "new-app"}, {"name": "eve", "password": "new-eve", "host": "%"}]
    assert live_world.call("PUT", path, json={"users": wanted}).status_code == 202
    live_world.settle()
    assert live_world.guests.engines[UUID(instance)].passwords == {"app": "new-app", "eve": "new-eve"}


def test_passwords_do_not_change_when_one_user_is_unknown(quiet: Quiet) -> None:
    """An unknown user among them is 404, and nothing is recorded."""
    world, instance = quiet
    head = world.ledger.log.head()
    wanted = [{"name": "app", "password": "new-app"}, {"name": "nobody", "password": "new-pw"}]
    assert told(world.call("PUT", f"/instances/{instance}/users", json={"users": wanted})).status == 404
    assert world.ledger.log.head() == head


def test_more_passwords_than_may_wait_are_refused(quiet: Quiet) -> None:
    """Each is an operation of its own, so more than an instance may have at once is 400, and says what to do."""
    world, instance = quiet
    head = world.ledger.log.head()
    wanted = [{"name": f"u{number}", "password": "new-pw-new-pw"} for number in range(33)]
    fault = told(world.call("PUT", f"/instances/{instance}/users", json={"users": wanted}))
    assert fault.status == 400
    assert "changes 33 passwords and may change 32" in fault.message
    assert world.ledger.log.head() == head


def test_as_many_passwords_as_may_wait_are_changed(live_world: RestWorld, instance: str) -> None:
    """Thirty-two, when nothing else waits."""
    assert live_world.guests is not None
    path = f"/instances/{instance}/users"
    names = [f"u{number}" for number in range(32)]
    live_world.call(
        "POST", path, json={"users": [{"name": name, "password": "old-old-old"} for name in names]}
    )
    live_world.settle()
    wanted = [{"name": name, "password": f"new-{name}-new"} for name in names]
    assert live_world.call("PUT", path, json={"users": wanted}).status_code == 202
    live_world.settle()
    passwords = live_world.guests.engines[UUID(instance)].passwords
    assert {name: passwords[name] for name in names} == {name: f"new-{name}-new" for name in names}


def test_many_users_are_looked_for_with_one_question(live_world: RestWorld, instance: str) -> None:
    """However many accounts a request names, the guest is asked once which there are."""
    assert live_world.guests is not None
    asked = live_world.guests.asked
    users = [{"name": f"u{number}", "password": "long-enough-1"} for number in range(5)]
    path = f"/instances/{instance}/users"
    asked.clear()
    assert live_world.call("POST", path, json={"users": users}).status_code == 202
    assert asked == ["user.list"]
    live_world.settle()
    asked.clear()
    assert live_world.call("PUT", path, json={"users": users}).status_code == 202
    assert asked == ["user.list"]
    live_world.settle()


def test_listing_without_an_end_is_given_up(live_world: RestWorld, instance: str) -> None:
    """A guest that says at every page that there is more does not keep a request for ever."""
    assert live_world.guests is not None
    live_world.guests.endless = True
    answer = told(live_world.call("GET", f"/instances/{instance}/databases/unknown"))
    assert answer.status == 500
    assert live_world.guests.asked.count("db.list") == 100


def test_grants_come_and_go(live_world: RestWorld, instance: str) -> None:
    """A grant adds to what a user has; a revoke takes one away, and a second revoke is 404."""
    path = f"/instances/{instance}/users/app/databases"
    assert live_world.call("PUT", path, json={"databases": [{"name": "audit"}]}).status_code == 202
    live_world.settle()
    assert _names(live_world, path, "databases") == ["audit", "orders"]
    assert live_world.call("DELETE", f"{path}/audit").status_code == 202
    live_world.settle()
    assert _names(live_world, path, "databases") == ["orders"]
    assert told(live_world.call("DELETE", f"{path}/audit")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "databases", None, 400),
        ("POST", "databases", {}, 400),
        ("POST", "databases", {"databases": [{"name": "orders"}]}, 400),
        ("POST", "databases", {"databases": [{"name": "template1"}]}, 400),
        ("POST", "databases", {"databases": [{"name": "x/y"}]}, 400),
        ("POST", "databases", {"databases": [{"name": "x"}, {"name": "x"}]}, 400),
        ("POST", "databases", {"databases": [{"name": "x", "collate": "klingon"}]}, 400),
        ("POST", "databases", {"databases": [{"name": "x"}], "database": {"name": "y"}}, 400),
        ("GET", "databases/unknown", None, 404),
        ("GET", "databases/postgres", None, 404),
        ("DELETE", "databases/unknown", None, 404),
        ("DELETE", "databases/postgres", None, 400),
        ("DELETE", "databases/%00", None, 400),
        ("GET", "databases?marker=%00", None, 400),
        ("GET", "databases?limit=-1", None, 400),
        ("POST", "users", {"users": [{"name": "app", "password": "again-again"}]}, 400),
        ("POST", "users", {"users": [{"name": "root", "password": "long-enough-1"}]}, 400),
        ("POST", "users", {"users": [{"name": "x", "password": "long-enough-1", "host": "10.0.0.1"}]}, 400),
        ("POST", "users", {"users": [{"name": "x", "password": "p\u0007"}]}, 400),
        ("PUT", "users", {"users": [{"name": "app"}]}, 400),
        ("PUT", "users", {"users": [{"name": "app", "password": "x"}, {"name": "app", "password": "y"}]}, 400),
        ("GET", "users/unknown", None, 404),
        ("GET", "users/postgres", None, 400),
        ("GET", "users/%40", None, 400),
        ("GET", "users?marker=postgres", None, 400),
        ("PUT", "users/app", {"user": {}}, 400),
        ("PUT", "users/app", {"user": {"host": "10.%"}}, 400),
        ("PUT", "users/app", {"user": {"name": "os_admin"}}, 400),
        ("PUT", "users/unknown", {"user": {"password": "x"}}, 404),
        ("DELETE", "users/unknown", None, 404),
        ("DELETE", "users/postgres", None, 400),
        ("PUT", "users/app/databases", {}, 400),
        ("PUT", "users/app/databases", {"databases": []}, 400),
        ("PUT", "users/app/databases", {"databases": [{"name": "postgres"}]}, 400),
        ("PUT", "users/unknown/databases", {"databases": [{"name": "orders"}]}, 404),
        ("GET", "users/unknown/databases", None, 404),
        ("DELETE", "users/app/databases/unknown", None, 404),
    ],
)  # fmt: skip
def test_bad_request_is_refused(quiet: Quiet, method: str, path: str, body: object, status: int) -> None:
    """What the driver or the engine does not take, and what is not there, is refused before anything is recorded."""
    world, instance = quiet
    head = world.ledger.log.head()
    assert told(world.call(method, f"/instances/{instance}/{path}", json=body)).status == status
    assert world.ledger.log.head() == head


def test_renaming_onto_another_user_is_refused(live_world: RestWorld, instance: str) -> None:
    """A user does not take another's name."""
    path = f"/instances/{instance}/users"
    live_world.call("POST", path, json={"users": [{"name": "eve", "password": "long-enough-1"}]})
    live_world.settle()
    refused = told(live_world.call("PUT", f"{path}/eve", json={"user": {"name": "app"}}))
    assert refused.status == 400
    assert "exists already" in refused.message


def test_failed_change_tells_its_owner(live_world: RestWorld, instance: str) -> None:
    """What an engine refuses after the 202 is a fault of the instance, in the engine's own words."""
    assert live_world.guests is not None
    error = GuestError(code=Code.DB_REFUSED, message="no room in the catalogue")
    live_world.guests.errors["db.create"] = error
    assert (
        live_world.call(
            "POST", f"/instances/{instance}/databases", json={"databases": [{"name": "x"}]}
        ).status_code
        == 202
    )
    live_world.settle()
    fault = live_world.call("GET", f"/instances/{instance}").json()["instance"]["fault"]
    assert "could not be created" in fault["message"]
    assert "no room in the catalogue" in fault["message"]


@pytest.mark.parametrize(
    ("code", "status", "key"),
    [
        (Code.NOT_FOUND, 404, "itemNotFound"),
        (Code.INVALID_ARGUMENT, 400, "badRequest"),
        (Code.DB_REFUSED, 422, "unprocessableEntity"),
        (Code.BUSY, 503, "serviceUnavailable"),
        (Code.STALE_EPOCH, 503, "serviceUnavailable"),
        (Code.INTERNAL, 500, "instanceFault"),
    ],
)
def test_guests_error_becomes_the_status_that_it_means(
    live_world: RestWorld, instance: str, code: Code, status: int, key: str
) -> None:
    """The caller's mistake keeps its words; what is passing or ours does not show its insides (D-11)."""
    assert live_world.guests is not None
    live_world.guests.errors["db.list"] = GuestError(code=code, message="inner words")
    answer = told(live_world.call("GET", f"/instances/{instance}/databases"))
    assert (answer.status, answer.key) == (status, key)
    assert ("inner words" in answer.message) == (status < 500)


def test_silent_guest_is_503_in_two_seconds(live_world: RestWorld, instance: str) -> None:
    """A listing of a guest that does not answer ends with `Retry-After`, and its question is taken back."""
    assert live_world.guests is not None
    live_world.guests.silent = True
    answer = live_world.call("GET", f"/instances/{instance}/databases")
    assert told(answer).key == "serviceUnavailable"
    assert answer.headers["Retry-After"] == "2"
    with live_world.ledger.reading() as reader:
        assert reader.outbox_of(UUID(instance)) == []


@pytest.mark.parametrize("what", ["databases", "users", "users/app", "users/app/databases"])
def test_engine_that_is_not_there_yet_is_422(open_world: RestWorld, what: str) -> None:
    """While an instance is built nobody is asked, and the answer says what to wait for."""
    refused = told(open_world.call("GET", f"/instances/{open_world.made()}/{what}"))
    assert refused.status == 422
    assert "building" in refused.message


@pytest.mark.parametrize("what", ["databases", "users", "root"])
def test_unknown_instance_is_404(quiet: Quiet, what: str) -> None:
    """Below an instance that is not there nothing is found."""
    assert told(quiet[0].call("GET", f"/instances/{uuid4()}/{what}")).status == 404
