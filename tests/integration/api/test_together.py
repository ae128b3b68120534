"""Many requests at once: nobody is held up by others' silent guests, and nothing is lost where all want the same."""

from uuid import UUID

import pytest
from tests.support.faults import told
from tests.support.rest_world import RestWorld

from muniment.domain.instance import INSTANCE
from muniment.domain.refused import Refused
from muniment_api.endings import Endings
from muniment_api.waiting import PROJECT_MAX


def test_silent_guests_hold_up_nobody_else(live_world: RestWorld, instance: str) -> None:
    """However many requests wait for a guest, one that needs none is answered before all of them."""
    assert live_world.guests is not None
    live_world.guests.silent = True
    waiting = [f"/instances/{instance}/databases?limit={number}" for number in range(1, PROJECT_MAX + 1)]
    assert live_world.race(*waiting, "/instances")[0] == "/instances"


def test_silent_guest_holds_up_no_other_project(live_world: RestWorld, instance: str) -> None:
    """Of a hundred requests to one project's silent guest some wait and the others are told to come again; the question of
    another project to its own guest is answered meanwhile."""
    assert live_world.guests is not None
    others = live_world.made(user="root")
    live_world.settle()
    live_world.guests.mute.add(UUID(instance))
    flood = [("alice", f"/instances/{instance}/databases?limit={number}") for number in range(1, 101)]
    answers = live_world.race_of(*flood, ("root", f"/instances/{others}/databases"))
    silent = [at for at, (_, answer) in enumerate(answers) if "did not answer" in answer.text]
    at, other = next((at, answer) for at, (user, answer) in enumerate(answers) if user == "root")
    assert other.status_code == 200
    assert at < silent[0]
    assert len(silent) == PROJECT_MAX
    refused = [answer for user, answer in answers if user == "alice" and "try again" in answer.text]
    assert len(refused) == 100
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in refused} == {(503, "2")}


def test_places_to_wait_are_given_back(live_world: RestWorld, instance: str) -> None:
    """Once its guest speaks again, a project's requests are answered as before."""
    assert live_world.guests is not None
    path = f"/instances/{instance}/databases"
    live_world.guests.mute.add(UUID(instance))
    live_world.race(*(f"{path}?limit={number}" for number in range(1, PROJECT_MAX + 5)))
    live_world.guests.mute.clear()
    answers = live_world.at_once(PROJECT_MAX, "GET", path, None)
    assert {answer.status_code for answer in answers} == {200}


def test_parallel_changes_of_one_instance_all_count(open_world: RestWorld) -> None:
    """Writers of one stream decide again until each has had its turn."""
    instance = open_world.made()
    answers = open_world.at_once(30, "PUT", f"/instances/{instance}", {"instance": {"name": "same"}})
    assert {answer.status_code for answer in answers} == {202}
    state = open_world.ledger.load(INSTANCE, UUID(instance))
    assert state is not None
    assert (state.name, state.version) == ("same", 3)


def test_parallel_restarts_are_one(live_world: RestWorld, instance: str) -> None:
    """Of many restarts at once one begins; the others are told that it runs."""
    assert live_world.guests is not None
    live_world.guests.holds.add("server.restart")
    answers = live_world.at_once(20, "POST", f"/instances/{instance}/action", {"restart": {}})
    assert sorted(answer.status_code for answer in answers) == [202] + [422] * 19


def test_parallel_deletes_are_one(open_world: RestWorld) -> None:
    """Of many deletes at once all are accepted and one operation begins."""
    instance = open_world.made()
    answers = open_world.at_once(20, "DELETE", f"/instances/{instance}", None)
    assert {answer.status_code for answer in answers} == {202}
    operations = open_world.call("GET", f"/operations?instance_id={instance}").json()["operations"]
    assert [operation["kind"] for operation in operations].count("delete_instance") == 1


def test_delete_ends_what_a_request_waits_for(live_world: RestWorld, instance: str) -> None:
    """A request that waits for an operation which a delete takes over is told so with 409, not with an error of ours."""
    assert live_world.guests is not None
    live_world.guests.holds.add("superuser.enable")
    live_world.services.endings = Endings(live_world.ledger, limit_s=0.0)
    begun = told(live_world.call("POST", f"/instances/{instance}/root"))
    operation = UUID(begun.message.partition("/operations/")[2])
    live_world.call("DELETE", f"/instances/{instance}")
    with pytest.raises(Refused, match="being deleted") as refused:
        list(live_world.services.endings.require(operation))
    assert refused.value.status == 409
