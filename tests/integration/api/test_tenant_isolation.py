"""Tenant isolation, route by route: a route without a row here fails the test that compares the two tables."""

from typing import NamedTuple

import pytest
from tests.accounts import BLUE, RED
from tests.rest_world import RestWorld

from muniment_api.policy import POLICY, Who
from muniment_api.resources.catalogue import ROUTES
from muniment_api.route import Route

STRANGER, OWNER_PROJECT = "rita", BLUE.id
"""Rita reads in the red project; what the rows name belongs to the blue one, or to nobody."""


class Row(NamedTuple):
    """A request of a stranger for something of another project, and what must come back."""

    path: str
    status: int


NOBODYS = 200
"""The answer where a resource belongs to no project: everybody may see it."""

ROWS: dict[tuple[str, str], Row] = {
    ("GET", "/datastores"): Row("/datastores", NOBODYS),
    ("GET", "/datastores/{datastore}"): Row("/datastores/postgresql", NOBODYS),
    ("GET", "/datastores/versions/{version_id}"): Row("/datastores/versions/none", 404),
    ("GET", "/datastores/{datastore}/versions"): Row("/datastores/postgresql/versions", NOBODYS),
    ("GET", "/datastores/{datastore}/versions/{version}"): Row("/datastores/postgresql/versions/18", NOBODYS),
    ("GET", "/datastores/{datastore}/versions/{version}/flavors"): Row(
        "/datastores/postgresql/versions/18/flavors", NOBODYS
    ),
    ("GET", "/datastores/{datastore}/versions/{version}/volume-types"): Row(
        "/datastores/postgresql/versions/18/volume-types", NOBODYS
    ),
    ("GET", "/flavors"): Row("/flavors", NOBODYS),
    ("GET", "/flavors/{flavor_id}"): Row("/flavors/1", NOBODYS),
    ("GET", "/limits"): Row("/limits", 200),  # one's own
    ("GET", "/mgmt/quotas/{quota_project_id}"): Row(f"/mgmt/quotas/{OWNER_PROJECT}", 403),
    ("PUT", "/mgmt/quotas/{quota_project_id}"): Row(f"/mgmt/quotas/{OWNER_PROJECT}", 403),
}

every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")


def test_every_route_has_a_row() -> None:
    """The two tables name the same routes."""
    assert {(route.method, route.path) for route in ROUTES} == ROWS.keys()


@every_route
def test_stranger_gets_nothing_of_others(settled_world: RestWorld, route: Route) -> None:
    """Below its own project a stranger is refused, or does not find, what belongs to another."""
    row = ROWS[route.method, route.path]
    answer = settled_world.call(route.method, row.path, user=STRANGER)
    assert answer.status_code == row.status


@every_route
def test_foreign_project_in_the_path_is_403(settled_world: RestWorld, route: Route) -> None:
    """Below another project everything is refused, before it is looked at; for administrators as well."""
    path = ROWS[route.method, route.path].path
    for user in (STRANGER, "root"):
        assert settled_world.call(route.method, path, user=user, project=OWNER_PROJECT).status_code == 403


@every_route
def test_without_a_token_it_is_401(settled_world: RestWorld, route: Route) -> None:
    """No route answers somebody unknown."""
    path = ROWS[route.method, route.path].path
    assert settled_world.http.request(route.method, f"/v1.0/{RED.id}{path}").status_code == 401


@every_route
def test_only_reads_are_for_readers(route: Route) -> None:
    """A rule that a reader passes guards nothing but GET."""
    assert (POLICY[route.rule] is Who.READER) <= (route.method == "GET")
