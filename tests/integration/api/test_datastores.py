"""The datastores resource: by id and by name, active and not, for tenants and administrators."""

import pytest
from tests.support.rest_world import RestWorld

from muniment.domain.datastore import datastore_id, version_id

PG = str(datastore_id("postgresql"))
V18 = str(version_id("postgresql", "18"))
V17 = str(version_id("postgresql", "17"))


def test_tenants_see_what_can_be_used(settled_world: RestWorld) -> None:
    """A tenant's list has datastores with an active version, and of their versions the active ones."""
    body = settled_world.call("GET", "/datastores").json()
    assert body == {
        "datastores": [
            {
                "id": PG,
                "name": "postgresql",
                "default_version": V18,
                "links": [
                    {"href": f"http://db.test:8779/v1.0/p-red/datastores/{PG}", "rel": "self"},
                    {"href": f"http://db.test:8779/datastores/{PG}", "rel": "bookmark"},
                ],
                "versions": [
                    {
                        "id": V18,
                        "name": "18",
                        "version": "18.6",
                        "links": [
                            {
                                "href": f"http://db.test:8779/v1.0/p-red/datastores/versions/{V18}",
                                "rel": "self",
                            },
                            {"href": f"http://db.test:8779/datastores/versions/{V18}", "rel": "bookmark"},
                        ],
                    }
                ],
            }
        ]
    }


def test_administrators_see_all(settled_world: RestWorld) -> None:
    """An administrator's lists have inactive versions too, and say which are active."""
    body = settled_world.call("GET", "/datastores", user="root").json()
    assert {datastore["name"] for datastore in body["datastores"]} == {"postgresql", "retired"}
    versions = settled_world.call("GET", "/datastores/postgresql/versions", user="root").json()["versions"]
    assert {version["name"]: version["active"] for version in versions} == {"17": False, "18": True}


@pytest.mark.parametrize("named", ["postgresql", PG, PG.upper()])
def test_datastore_by_id_and_by_name(settled_world: RestWorld, named: str) -> None:
    """Both find the datastore with its active versions, for administrators the same."""
    for user in ("alice", "root"):
        shown = settled_world.call("GET", f"/datastores/{named}", user=user).json()["datastore"]
        assert (shown["id"], [v["name"] for v in shown["versions"]]) == (PG, ["18"])


def test_versions_of_a_datastore(settled_world: RestWorld) -> None:
    """A tenant's list has active versions, each naming its datastore."""
    versions = settled_world.call("GET", "/datastores/postgresql/versions").json()["versions"]
    assert [(version["id"], version["datastore"]) for version in versions] == [(V18, PG)]


@pytest.mark.parametrize(
    "path",
    [
        f"/datastores/postgresql/versions/{V17}",
        "/datastores/postgresql/versions/17",
        f"/datastores/{PG}/versions/17",
        f"/datastores/versions/{V17}",
    ],
)
def test_version_is_shown_also_when_inactive(settled_world: RestWorld, path: str) -> None:
    """A version is found by id and by name below its datastore, and by id alone."""
    version = settled_world.call("GET", path).json()["version"]
    assert (version["id"], version["version"], version["datastore"]) == (V17, "17.2", PG)
    assert "active" not in version


@pytest.mark.parametrize(
    "path",
    [
        "/datastores/mysql",
        "/datastores/00000000-0000-0000-0000-000000000000",
        "/datastores/mysql/versions",
        "/datastores/mysql/versions/18",
        "/datastores/postgresql/versions/99",
        "/datastores/retired/versions/18",
        f"/datastores/retired/versions/{V18}",
        "/datastores/versions/18",
        "/datastores/postgresql/versions/99/flavors",
        "/datastores/postgresql/versions/99/volume-types",
    ],
)
def test_what_is_not_there_is_404(settled_world: RestWorld, path: str) -> None:
    """Lookups by path answer 404 alike, whatever part of it is unknown."""
    answer = settled_world.call("GET", path)
    assert (answer.status_code, list(answer.json())) == (404, ["itemNotFound"])


def test_version_runs_on_every_flavor(settled_world: RestWorld) -> None:
    """No flavor and no volume type is bound to a version."""
    flavors = settled_world.call("GET", "/datastores/postgresql/versions/18/flavors").json()["flavors"]
    assert [flavor["str_id"] for flavor in flavors] == ["1", "c7-large"]
    assert settled_world.call("GET", f"/datastores/postgresql/versions/{V18}/volume-types").json() == {
        "volume_types": []
    }
