"""Instances over REST: what is shown of them, and how they are renamed, restarted, reset and deleted."""

from uuid import UUID, uuid4

import pytest
from tests.support.accounts import OFFICE, RED
from tests.support.faults import told
from tests.support.rest_world import RestWorld

from muniment.contract.errors import Code, GuestError
from muniment.domain.event import About
from muniment.domain.instance import INSTANCE, HealthChanged, InstanceBecameActive
from muniment.domain.occupancy import Released


def test_create_answers_with_the_instance_as_it_begins(live_world: RestWorld) -> None:
    """The answer is the detail view in status BUILD, however fast the guest is; with no address, in naive time."""
    answer = live_world.call(
        "POST", "/instances", json={"instance": {"name": "a", "flavorRef": 1, "volume": {"size": "2"}}}
    )
    shown = answer.json()["instance"]
    assert answer.status_code == 200
    assert (shown["status"], shown["operating_status"]) == ("BUILD", "")
    assert shown["datastore"] == {"type": "postgresql", "version": "18", "version_number": "18"}
    assert (shown["flavor"]["id"], shown["volume"]) == ("1", {"size": 2})
    assert shown["created"] == shown["updated"] == "2026-01-01T00:00:00"
    assert not {"ip", "addresses", "fault", "tenant_id", "server_id"} & shown.keys()


def test_create_answers_though_the_read_models_stand_still(open_world: RestWorld) -> None:
    """What was recorded is not denied because nothing shows it yet."""
    with open_world.projecting:
        answer = open_world.call(
            "POST", "/instances", json={"instance": {"name": "a", "flavorRef": "1", "volume": 1}}
        )
    assert (answer.status_code, answer.json()["instance"]["name"]) == (200, "a")


def test_instance_becomes_active_and_reachable(live_world: RestWorld, instance: str) -> None:
    """Once its operation succeeded an instance is ACTIVE and HEALTHY, with its address."""
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert (shown["status"], shown["operating_status"]) == ("ACTIVE", "HEALTHY")
    state = live_world.ledger.load(INSTANCE, UUID(instance))
    assert state is not None
    assert shown["ip"] == [state.address]
    assert shown["addresses"] == [{"address": state.address, "type": "private", "network": "net-1"}]


def test_links_lead_to_the_instance(live_world: RestWorld, instance: str) -> None:
    """`self` is where the instance is shown, by the scheme and host of the request."""
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert [(link["rel"], link["href"]) for link in shown["links"]] == [
        ("self", f"http://db.test:8779/v1.0/{RED.id}/instances/{instance}"),
        ("bookmark", f"http://db.test:8779/instances/{instance}"),
    ]


def test_volume_use_is_the_last_that_was_reported(live_world: RestWorld, instance: str) -> None:
    """No guest is asked: the figures of the last beat are shown, in GiB and percent."""
    assert live_world.guests is not None
    live_world.guests.report_volume(UUID(instance), 2**29, 3 * 2**29)
    live_world.guests.silent = True
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert shown["volume"] == {"size": 2, "used": 0.5, "used_percent": 25.0}


def test_administrator_is_shown_more(live_world: RestWorld, instance: str) -> None:
    """Project and resources are for administrators only; they find other projects' instances by id, not in their list."""
    shown = live_world.call("GET", f"/instances/{instance}", user="root").json()["instance"]
    listed = live_world.call("GET", "/instances", user="root").json()["instances"]
    assert shown["tenant_id"] == RED.id
    assert shown["server_id"].startswith("server-")
    assert listed == []


def test_lists_are_paged_without_a_gap(open_world: RestWorld) -> None:
    """Following `next` shows every instance once; the last page has no link."""
    made = {open_world.made(name=f"n{number}", volume={"size": 1}) for number in range(5)}
    seen: list[str] = []
    path = "/instances?limit=2&include_clustered=False"
    while path:
        body = open_world.call("GET", path).json()
        seen += [shown["id"] for shown in body["instances"]]
        assert body.get("links") == body.get("instances_links")
        path = body["links"][0]["href"].partition(RED.id)[2] if "links" in body else ""
    assert set(seen) == made
    assert len(seen) == 5


def test_detail_lists_what_summary_leaves_out(open_world: RestWorld) -> None:
    """The two lists hold the same instances in the two views."""
    open_world.made()
    (summary,) = open_world.call("GET", "/instances").json()["instances"]
    (detail,) = open_world.call("GET", "/instances/detail").json()["instances"]
    assert summary.items() <= (detail | {"datastore": summary["datastore"]}).items()
    assert detail.keys() - summary.keys() == {"created", "updated", "service_status_updated"}


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "marker=x", "marker=%00", f"marker={UUID(int=7)}"])
def test_spoilt_page_is_400(open_world: RestWorld, query: str) -> None:
    """Neither a limit nor a marker is guessed at."""
    assert told(open_world.call("GET", f"/instances?{query}")).key == "badRequest"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_rename_is_seen_at_once(open_world: RestWorld, method: str) -> None:
    """Both methods rename, in any state, with an empty 202; the next read shows it."""
    instance = open_world.made()
    answer = open_world.call(method, f"/instances/{instance}", json={"instance": {"name": "ünders-2"}})
    assert (answer.status_code, answer.content) == (202, b"")
    assert open_world.call("GET", f"/instances/{instance}").json()["instance"]["name"] == "ünders-2"


@pytest.mark.parametrize("body", [{}, {"configuration": None}, {"name": "orders-db"}])
def test_change_of_nothing_is_accepted(open_world: RestWorld, body: dict[str, object]) -> None:
    """Taking off a configuration that is not there, and the same name again, are 202 and record nothing."""
    instance = open_world.made()
    head = open_world.ledger.log.head()
    assert open_world.call("PUT", f"/instances/{instance}", json={"instance": body}).status_code == 202
    assert open_world.ledger.log.head() == head


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": None}, 400),
        ({"name": "---"}, 400),
        ({"nmae": "x"}, 400),
        ({"configuration": 7}, 400),
        ({"configuration": str(uuid4())}, 404),
        ({"replica_of": ""}, 400),
        ({"replica_of": None}, 400),
        ({"slave_of": None}, 400),
        ({"datastore_version": "18"}, 422),
        ({"datastore_version": 7}, 400),
        ({"access": {"is_public": True}}, 422),
        ({"access": {"allowed_cidrs": ["10.0.0.0/33"]}}, 400),
        ({"access": {"public": True}}, 400),
        ({"access": None}, 400),
        ({"name": "x", "configuration": None, "replica_of": None}, 400),
    ],
)
def test_change_that_cannot_be_is_refused(open_world: RestWorld, change: object, status: int) -> None:
    """What is wrong or not there is refused, and a name beside it is not changed either."""
    instance = open_world.made()
    head = open_world.ledger.log.head()
    answer = open_world.call("PUT", f"/instances/{instance}", json={"instance": change})
    assert told(answer).status == status
    assert open_world.ledger.log.head() == head


@pytest.mark.parametrize("body", [{"restart": {}}, {"restart": None}])
def test_restart_runs_as_an_operation(live_world: RestWorld, instance: str, body: object) -> None:
    """A restart is accepted; while it runs the status is REBOOT and a second one is refused; afterwards all is well."""
    assert live_world.guests is not None
    live_world.guests.silent = True
    assert live_world.call("POST", f"/instances/{instance}/action", json=body).status_code == 202
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert (shown["status"], shown["operating_status"]) == ("REBOOT", "")
    refused = told(live_world.call("POST", f"/instances/{instance}/action", json=body))
    assert refused.key == "unprocessableEntity"
    assert "restart instance" in refused.message
    live_world.guests.silent = False
    live_world.settle()
    assert live_world.call("GET", f"/instances/{instance}").json()["instance"]["status"] == "ACTIVE"


def test_failed_restart_leaves_a_fault_for_its_owner(live_world: RestWorld, instance: str) -> None:
    """The instance goes on, and the fault has a message, a naive time, and details for administrators only."""
    assert live_world.guests is not None
    error = GuestError(code=Code.INTERNAL, message="inner words")
    live_world.guests.errors["server.restart"] = error
    live_world.call("POST", f"/instances/{instance}/action", json={"restart": {}})
    live_world.settle()
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert shown["status"] == "ACTIVE"
    assert "the database did not restart" in shown["fault"]["message"]
    assert "inner words" not in str(shown)
    assert len(shown["fault"]["created"]) == len("2026-01-01T00:00:00")
    admin = live_world.call("GET", f"/instances/{instance}", user="root").json()["instance"]
    assert "inner words" in admin["fault"]["details"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"reboot": {}}, 400),
        ({"restart": {}, "resize": {"volume": 3}}, 400),
        ({"restart": {}, "later": True}, 400),
        ({"restart": 7}, 400),
        ({"resize": {}}, 400),
        ({"resize": None}, 400),
        ({"resize": {"volume": {"size": 0}}}, 400),
        ({"resize": {"volume": {"size": 3}, "flavorRef": "2"}}, 400),
        ({"resize": {"volume": {"size": "2"}}}, 400),
        ({"resize": {"volume": 1}}, 400),
        ({"resize": {"volume": 1_000}}, 413),
        ({"resize": {"volume": {"size": 41}}}, 413),
        ({"resize": {"flavorRef": "2"}}, 422),
        ({"promote_to_replica_source": {}}, 422),
        ({"eject_replica_source": {}}, 422),
        ({"reset_status": {"force_delete": "perhaps"}}, 400),
        ({"reset_status": {}}, 403),
    ],
)
def test_action_that_cannot_be_is_refused(
    live_world: RestWorld, instance: str, body: object, status: int
) -> None:
    """Not one action, not a known one, not of its shape: 400; what is not there yet: 422; not allowed: 403."""
    head = live_world.ledger.log.head()
    assert told(live_world.call("POST", f"/instances/{instance}/action", json=body)).status == status
    assert live_world.ledger.log.head() == head


@pytest.mark.parametrize(
    "body",
    [{"restart": {}}, {"resize": {"volume": 3}}, {"promote_to_replica_source": {}}, {"reset_status": {}}],
)
def test_reader_does_not_act(open_world: RestWorld, body: object) -> None:
    """The rule of each action decides, also of those that are not there yet."""
    instance = open_world.made()
    assert (
        told(open_world.call("POST", f"/instances/{instance}/action", user="rita", json=body)).status == 403
    )


def _volumes_in_use(world: RestWorld) -> int:
    with world.ledger.reading() as reader:
        return sum(reader.counted(RED.id)["volumes"].values())


@pytest.mark.parametrize("volume", [{"size": "3"}, {"size": 3}, 3])
def test_volume_grows_as_an_operation(live_world: RestWorld, instance: str, volume: object) -> None:
    """A larger volume is accepted and counted at once; while it grows the status is RESIZE and another action is refused;
    afterwards the new size is shown, and counted once."""
    assert live_world.guests is not None
    path, body = f"/instances/{instance}/action", {"resize": {"volume": volume}}
    live_world.guests.holds.add("volume.grow")
    assert live_world.call("POST", path, json=body).status_code == 202
    assert live_world.call("GET", f"/instances/{instance}").json()["instance"]["status"] == "RESIZE"
    assert _volumes_in_use(live_world) == 3
    assert told(live_world.call("POST", path, json={"restart": {}})).status == 422
    live_world.guests.holds.clear()
    live_world.settle()
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert (shown["status"], shown["volume"]["size"]) == ("ACTIVE", 3)
    assert _volumes_in_use(live_world) == 3
    assert told(live_world.call("POST", path, json=body)).status == 400


def test_volume_whose_filesystem_does_not_grow_counts(live_world: RestWorld, instance: str) -> None:
    """A volume does not shrink: what the cloud has is shown and counted, with a fault that says what is missing."""
    assert live_world.guests is not None
    live_world.guests.errors["volume.grow"] = GuestError(
        code=Code.INTERNAL, message="inner words", retryable=False
    )
    live_world.call("POST", f"/instances/{instance}/action", json={"resize": {"volume": 5}})
    live_world.settle()
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert (shown["status"], shown["volume"]["size"]) == ("ACTIVE", 5)
    assert "its filesystem does not fill it" in shown["fault"]["message"]
    assert _volumes_in_use(live_world) == 5


def test_volume_that_was_not_extended_counts_as_before(live_world: RestWorld, instance: str) -> None:
    """What the cloud refuses leaves size and quota as they were."""
    assert live_world.guests is not None
    live_world.guests.cloud.extends_never = True
    live_world.call("POST", f"/instances/{instance}/action", json={"resize": {"volume": 5}})
    live_world.settle()
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert (shown["status"], shown["volume"]["size"]) == ("ACTIVE", 2)
    assert "the volume could not be extended" in shown["fault"]["message"]
    assert _volumes_in_use(live_world) == 2


@pytest.mark.parametrize("state", ["stopped", "unknown", "lost"])
def test_restart_needs_an_engine_that_can_be_reached(
    live_world: RestWorld, instance: str, state: str
) -> None:
    """A stopped engine can be restarted, one that nobody hears of cannot."""
    assert live_world.guests is not None
    live_world.guests.report_health(UUID(instance), state)
    answer = live_world.call("POST", f"/instances/{instance}/action", json={"restart": {}})
    assert answer.status_code == (202 if state == "stopped" else 422)


def test_owner_resets_in_order_to_delete(open_world: RestWorld) -> None:
    """`force_delete` lets an owner end what is stuck; a building instance is in error then."""
    instance = open_world.made()
    body = {"reset_status": {"force_delete": True}}
    assert open_world.call("POST", f"/instances/{instance}/action", json=body).status_code == 202
    assert open_world.call("GET", f"/instances/{instance}").json()["instance"]["status"] == "ERROR"


def test_delete_in_build_ends_with_404(live_world: RestWorld) -> None:
    """An instance is deleted in any state; then it is gone from every list and its quota is free."""
    instance = live_world.made()
    assert live_world.call("DELETE", f"/instances/{instance}").status_code == 202
    live_world.settle()
    assert told(live_world.call("GET", f"/instances/{instance}")).key == "itemNotFound"
    assert told(live_world.call("DELETE", f"/instances/{instance}")).key == "itemNotFound"
    assert live_world.call("GET", "/instances").json() == {"instances": []}
    quotas = live_world.call("GET", f"/mgmt/quotas/{RED.id}").json()["quotas"]
    assert all(quota["in_use"] == quota["reserved"] == 0 for quota in quotas)


def test_second_delete_changes_nothing(open_world: RestWorld) -> None:
    """While it goes, deleting again is accepted and recorded nowhere; renaming still works, restarting does not."""
    instance = open_world.made()
    open_world.call("DELETE", f"/instances/{instance}")
    assert open_world.call("GET", f"/instances/{instance}").json()["instance"]["status"] == "SHUTDOWN"
    head = open_world.ledger.log.head()
    assert open_world.call("DELETE", f"/instances/{instance}").status_code == 202
    assert open_world.ledger.log.head() == head
    restart = open_world.call("POST", f"/instances/{instance}/action", json={"restart": {}})
    assert told(restart).status == 422


def test_administrator_acts_in_the_owners_name(live_world: RestWorld, instance: str) -> None:
    """What an administrator does to another project's instance is recorded in that project, under the administrator."""
    head = live_world.ledger.log.head()
    for method, path, body in (
        ("PUT", f"/instances/{instance}", {"instance": {"name": "seen"}}),
        ("POST", f"/instances/{instance}/action", {"restart": {}}),
        ("POST", f"/instances/{instance}/action", {"reset_status": {}}),
        ("POST", "/backups", {"backup": {"name": "b", "instance": instance}}),
        ("DELETE", f"/instances/{instance}", None),
    ):
        assert live_world.call(method, path, user="root", json=body).status_code == 202, path
        live_world.settle()
    events = [logged.event for logged in live_world.ledger.log.read(head, 1000)]
    assert {event.project_id for event in events} == {RED.id}
    assert {event.actor for event in events if event.actor.startswith("user:")} == {"user:u-root"}


def test_administrators_backup_counts_for_the_owner(open_world: RestWorld) -> None:
    """The quota of a backup is the instance's project's, whoever asks for it."""
    instance = _active(open_world)
    asked = {"backup": {"name": "b", "instance": instance}}
    assert open_world.call("POST", "/backups", user="root", json=asked).status_code == 202
    with open_world.ledger.reading() as reader:
        assert reader.counted(OFFICE.id) == {}
        assert reader.counted(RED.id)["backups"] == {"in_use": 0, "reserved": 1}


def _active(world: RestWorld) -> str:
    """An instance that its history tells to be active, though nothing ran."""
    instance_id = world.made()
    state = world.ledger.load(INSTANCE, UUID(instance_id))
    assert state is not None
    (occupant,) = state.occupants
    events = [
        HealthChanged(originator_id=state.id, originator_version=state.version + 1, state="healthy"),
        InstanceBecameActive(originator_id=state.id, originator_version=state.version + 2),
        Released(
            originator_id=state.id, originator_version=state.version + 3, operation_id=occupant.operation_id
        ),
    ]
    world.ledger.save(events, About(project_id=state.project_id, actor="test"))
    return instance_id


@pytest.mark.parametrize("key", ["orders-db", str(UUID(int=7)), "%F0%9F%92%BE", "a" * 300, "%00"])
def test_what_is_no_instance_is_not_found(open_world: RestWorld, key: str) -> None:
    """A name, another id, odd unicode: 404, so that clients go on to look in the list."""
    open_world.made()
    assert told(open_world.call("GET", f"/instances/{key}")).key == "itemNotFound"
    assert told(open_world.call("DELETE", f"/instances/{key}")).key == "itemNotFound"


def test_id_of_something_else_is_no_instance(open_world: RestWorld) -> None:
    """An operation's id names no instance, also where the history is asked."""
    open_world.made()
    (operation,) = open_world.call("GET", "/operations").json()["operations"]
    for method in ("GET", "DELETE"):
        assert told(open_world.call(method, f"/instances/{operation['id']}")).status == 404
