"""What a project reads of the work that is done for it: operations with their steps, and every event."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.support.accounts import BLUE, RED
from tests.support.clouds import wait_until
from tests.support.faults import told
from tests.support.rest_world import RestWorld

Quiet = tuple[RestWorld, str]


def test_operation_shows_its_steps(live_world: RestWorld, instance: str) -> None:
    """A create is an operation on its instance, with steps that began, ended and took their time."""
    (operation,) = live_world.call("GET", f"/operations?instance_id={instance}").json()["operations"]
    assert (operation["kind"], operation["status"]) == ("create_instance", "succeeded")
    steps = {step["name"]: step for step in operation["steps"]}
    assert {step["status"] for step in steps.values()} == {"succeeded"}
    assert steps["ensure_volume"]["started_at"].endswith("Z")
    assert steps["ensure_server"]["duration_s"] >= 0
    shown = live_world.call("GET", f"/operations/{operation['id']}").json()["operation"]
    assert shown == operation


def test_operations_are_narrowed_by_state(live_world: RestWorld, instance: str) -> None:
    """Running and ended ones are told apart."""
    assert live_world.guests is not None
    live_world.guests.holds.add("server.restart")
    live_world.call("POST", f"/instances/{instance}/action", json={"restart": {}})
    for state, kind in (("running", "restart_instance"), ("ended", "create_instance")):
        (operation,) = live_world.call("GET", f"/operations?state={state}").json()["operations"]
        assert operation["kind"] == kind


def test_administrator_follows_operations_of_a_named_instance(quiet: Quiet) -> None:
    """Whoever may restart another project's instance can also watch it happen; without a name they see their own."""
    world, instance = quiet
    (seen,) = world.call("GET", f"/operations?instance_id={instance}", user="root").json()["operations"]
    assert seen["project_id"] == RED.id
    assert world.call("GET", "/operations", user="root").json() == {"operations": []}
    assert world.call("GET", f"/operations?instance_id={instance}", project=BLUE.id).json() == {
        "operations": []
    }


@pytest.mark.parametrize(
    "query", ["state=done", "instance_id=x", "backup_id=%00", "limit=0", "marker=x", "limit=%C2%B2"]
)
def test_spoilt_question_about_operations_is_400(quiet: Quiet, query: str) -> None:
    """A filter that cannot be meant is refused, not ignored."""
    assert told(quiet[0].call("GET", f"/operations?{query}")).status == 400


def test_events_are_read_with_a_cursor(quiet: Quiet) -> None:
    """Page by page every event of the instance is read once, in order; behind the last there is nothing."""
    world, instance = quiet
    whole = world.call("GET", f"/events?instance_id={instance}").json()
    seen: list[object] = []
    cursor = 0
    while page := world.call("GET", f"/events?instance_id={instance}&limit=7&cursor={cursor}").json()[
        "events"
    ]:
        seen += page
        cursor = page[-1]["logposition"]
    assert seen == whole["events"]
    assert whole["cursor"] == cursor
    assert whole["events"][0]["type"] == "instance.requested.1"


def test_events_tell_nothing_of_others(quiet: Quiet) -> None:
    """Another project gets none of them; all projects' are for administrators."""
    world, instance = quiet
    stranger = world.call("GET", f"/events?instance_id={instance}", project=BLUE.id).json()
    assert stranger == {"events": [], "cursor": 0}
    assert told(world.call("GET", "/events?all_projects=true")).status == 403
    everything = world.call("GET", "/events?all_projects=true&limit=1000", user="root").json()["events"]
    assert {event["projectid"] for event in everything} >= {RED.id}


def test_events_as_of_a_position_do_not_change(quiet: Quiet) -> None:
    """`as_of` ends the history at a position of the log."""
    world, instance = quiet
    events = world.call("GET", f"/events?instance_id={instance}&as_of=9").json()["events"]
    assert events
    assert max(event["logposition"] for event in events) <= 9


@pytest.mark.parametrize(
    "query",
    [
        "cursor=-1",
        "cursor=x",
        "cursor=1e3",
        f"cursor={2**64}",
        "as_of=",
        "limit=0",
        "limit=x",
        "instance_id=x",
    ],
)
def test_spoilt_question_about_events_is_400(quiet: Quiet, query: str) -> None:
    """Numbers are whole and bounded."""
    assert told(quiet[0].call("GET", f"/events?{query}")).status == 400


def test_unknown_operation_is_404(quiet: Quiet) -> None:
    """Unknown ids, names, and ids of other things."""
    world, instance = quiet
    for key in (str(uuid4()), "create", instance):
        assert told(world.call("GET", f"/operations/{key}")).status == 404


def _cancelled(world: RestWorld, operation_id: str, **who: str) -> httpx.Response:
    return world.call("POST", f"/operations/{operation_id}/cancel", **who)


def _running(world: RestWorld, *, instance_id: str, kind: str = "create_instance") -> dict[str, Any]:
    """The one that runs; on a busy machine a read may come before the read model has it."""
    found: list[dict[str, Any]] = []

    def is_alone() -> bool:
        found[:] = world.call("GET", f"/operations?state=running&instance_id={instance_id}").json()[
            "operations"
        ]
        return [operation["kind"] for operation in found] == [kind]

    wait_until(is_alone, f"only a {kind} runs")
    return found[0]


def test_cancelled_create_is_undone(live_world: RestWorld) -> None:
    """The answer is 202 with the operation; what it had made goes, and the instance is in error with the reason."""
    assert live_world.guests is not None
    live_world.guests.silent = True
    instance = live_world.made()
    operation = _running(live_world, instance_id=instance)
    answer = _cancelled(live_world, operation["id"])
    assert (answer.status_code, answer.json()["operation"]["id"]) == (202, operation["id"])
    live_world.guests.silent = False
    live_world.settle()
    ended = live_world.call("GET", f"/operations/{operation['id']}").json()["operation"]
    assert (ended["status"], ended["is_cancelled"]) == ("failed", True)
    assert ended["message"] == "could not create the instance: it was cancelled"
    assert live_world.call("GET", f"/instances/{instance}").json()["instance"]["status"] == "ERROR"
    assert not live_world.guests.cloud.things


def test_cancel_twice_is_once(open_world: RestWorld) -> None:
    """A second request before the operation has heard of the first is accepted and adds nothing."""
    operation = _running(open_world, instance_id=open_world.made())
    for _ in range(2):
        assert _cancelled(open_world, operation["id"]).status_code == 202
    with open_world.ledger.reading() as reader:
        assert len(reader.signals(UUID(operation["id"]))) == 1


def test_what_has_ended_is_not_cancelled(live_world: RestWorld, instance: str) -> None:
    """It is 409, with how it ended; nothing is kept for an operation that will never read it."""
    (operation,) = live_world.call("GET", f"/operations?instance_id={instance}").json()["operations"]
    refused = told(_cancelled(live_world, operation["id"]))
    assert refused.status == 409
    assert refused.message == f"operation {operation['id']} has ended already: succeeded"


def test_deletion_is_not_cancelled(open_world: RestWorld) -> None:
    """There is nothing to go back to: 409, and the deletion goes on."""
    instance = open_world.made()
    open_world.call("DELETE", f"/instances/{instance}")
    operation = _running(open_world, instance_id=instance, kind="delete_instance")
    refused = told(_cancelled(open_world, operation["id"]))
    assert refused.status == 409
    assert "delete the instance, which cannot be cancelled" in refused.message


def test_administrator_cancels_for_a_tenant(open_world: RestWorld) -> None:
    """Whoever may see every project's operations by id may stop them too; other tenants do not find them."""
    operation = _running(open_world, instance_id=open_world.made())
    assert told(_cancelled(open_world, operation["id"], project=BLUE.id)).status == 404
    assert _cancelled(open_world, operation["id"], user="root").status_code == 202


def test_unknown_operation_is_not_cancelled(quiet: Quiet) -> None:
    """Unknown ids, names, and ids of other things are 404."""
    world, instance = quiet
    for key in (str(uuid4()), "create", instance):
        refused = told(_cancelled(world, key))
        assert (refused.status, refused.message) == (404, f"operation {key} cannot be found")
