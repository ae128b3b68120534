"""Quotas and limits: who sees them, who sets them, and what cannot be set."""

from uuid import UUID

import pytest
from tests.support.accounts import BLUE, RED
from tests.support.rest_world import RestWorld

from muniment.domain.event import About
from muniment.store.writes import CommitReservation, Reserve

DEFAULTS = {"instances": 10, "ram": -1, "volumes": 40, "backups": 50}


def _limits(world: RestWorld, project: str, user: str) -> dict[str, int]:
    body = world.call("GET", f"/mgmt/quotas/{project}", user=user).json()
    return {quota["resource"]: quota["limit"] for quota in body["quotas"]}


def test_own_quota_shows_defaults_and_what_is_counted(world: RestWorld) -> None:
    """A project sees all four resources, with what operations reserved and what exists."""
    about = About(project_id=RED.id, actor="test")
    done, running, subject = UUID(int=1), UUID(int=2), UUID(int=3)
    for operation, deltas in ((done, {"instances": 1, "volumes": 5}), (running, {"volumes": 2})):
        reserve = Reserve(
            operation_id=operation, subject_id=subject, project_id=RED.id, deltas=deltas, limits=DEFAULTS
        )
        world.ledger.save([], about, writes=[reserve])
    world.ledger.save([], about, writes=[CommitReservation(operation_id=done)])
    assert world.call("GET", f"/mgmt/quotas/{RED.id}", user="rita").json() == {
        "quotas": [
            {"resource": "instances", "in_use": 1, "reserved": 0, "limit": 10},
            {"resource": "ram", "in_use": 0, "reserved": 0, "limit": -1},
            {"resource": "volumes", "in_use": 5, "reserved": 2, "limit": 40},
            {"resource": "backups", "in_use": 0, "reserved": 0, "limit": 50},
        ]
    }


def test_other_projects_quota_is_for_administrators(world: RestWorld) -> None:
    """Another project's quota is 403 to tenants and shown to an administrator."""
    assert world.call("GET", f"/mgmt/quotas/{BLUE.id}").status_code == 403
    assert _limits(world, BLUE.id, "root") == DEFAULTS


def test_set_limits_are_seen_at_once(world: RestWorld) -> None:
    """An update answers with what was sent, and the next reads show it: quota and limits."""
    sent = {"quotas": {"instances": 20, "volumes": "500", "ram": None}}
    answer = world.call("PUT", f"/mgmt/quotas/{RED.id}", user="root", json=sent)
    assert (answer.status_code, answer.json()) == (200, {"quotas": {"instances": 20, "volumes": 500}})
    assert _limits(world, RED.id, "alice") == {**DEFAULTS, "instances": 20, "volumes": 500}
    assert world.call("GET", "/limits").json() == {
        "limits": [
            {"verb": "ABSOLUTE", "max_instances": 20, "max_ram": -1, "max_volumes": 500, "max_backups": 50}
        ]
    }
    assert _limits(world, BLUE.id, "root") == DEFAULTS


def test_update_is_an_event_of_the_project_by_the_administrator(world: RestWorld) -> None:
    """The event belongs to the project whose limits they are, and names who set them, under the request's id."""
    answer = world.call("PUT", f"/mgmt/quotas/{RED.id}", user="root", json={"quotas": {"backups": 1}})
    (logged,) = world.ledger.log.read(0, 10)
    assert (logged.event.project_id, logged.event.actor) == (RED.id, "user:u-root")
    assert logged.event.request_id == answer.headers["X-Openstack-Request-Id"]


def test_same_limits_again_record_nothing(world: RestWorld) -> None:
    """Setting what holds already, or nothing, leaves the log as it is."""
    for sent in ({"backups": 7}, {"backups": 7}, {"backups": None}, {}):
        assert (
            world.call("PUT", f"/mgmt/quotas/{RED.id}", user="root", json={"quotas": sent}).status_code == 200
        )
    assert world.ledger.log.head() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"quotas": {"instances": -2}}, 400),
        ({"quotas": {"instances": "many"}}, 400),
        ({"quotas": {"instances": 1.5}}, 400),
        ({"quotas": {"instances": True}}, 400),
        ({"quotas": {"instances": 10**30}}, 400),
        ({"quotas": {"unicorns": 1}}, 404),
        ({"quotas": {str(n): 1 for n in range(20)}}, 400),
        ({"quotas": []}, 400),
        ({"quota": {}}, 400),
        ([], 400),
        (None, 400),
    ],
)
def test_what_is_no_limit_is_refused_before_anything_is_recorded(
    world: RestWorld, body: object, status: int
) -> None:
    """Malformed limits are 400, unknown resources 404, and the log stays empty."""
    answer = world.call("PUT", f"/mgmt/quotas/{RED.id}", user="root", json=body)
    assert answer.status_code == status
    assert world.ledger.log.head() == 0


def test_tenants_set_nothing(world: RestWorld) -> None:
    """A member may not raise its own limits."""
    assert world.call("PUT", f"/mgmt/quotas/{RED.id}", json={"quotas": {"instances": 99}}).status_code == 403
    assert world.ledger.log.head() == 0


@pytest.mark.parametrize("project", ["x" * 256, "a%00b", "a%0Ab"])
def test_project_that_cannot_be_is_404(world: RestWorld, project: str) -> None:
    """An id too long or with control characters names no project."""
    assert world.call("GET", f"/mgmt/quotas/{project}", user="root").status_code == 404
