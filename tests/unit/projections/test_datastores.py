"""Datastores and versions, for tenants and for administrators."""

from tests.support.logs import datastore_history
from tests.support.shown import projected, shown

from muniment.domain.datastore import datastore_id, version_id
from muniment_projections.datastores import Datastores, DatastoreVersions
from muniment_projections.row import View

ID = datastore_id("postgresql")
NEW, OLD = version_id("postgresql", "18"), version_id("postgresql", "17")


def test_a_tenant_sees_active_versions() -> None:
    """The datastore with its links, its default, and the versions that can be asked for."""
    _, read_model = projected(datastore_history())

    seen = shown(Datastores(read_model).get(ID, project_id=None, view=View.DETAIL))

    assert seen["default_version"] == str(NEW)
    assert seen["links"][0]["href"] == f"http://h/v1.0/p/datastores/{ID}"
    assert [(v["id"], v["name"], v["version"]) for v in seen["versions"]] == [(str(NEW), "18", "18.6")]
    assert set(seen["versions"][0]) == {"id", "name", "version", "links"}


def test_an_administrator_sees_all_of_all_versions() -> None:
    """Inactive ones too, with what stands behind them."""
    _, read_model = projected(datastore_history())

    seen = shown(Datastores(read_model).get(ID, project_id=None, view=View.ADMIN_DETAIL))

    assert [(v["name"], v["active"]) for v in seen["versions"]] == [("17", False), ("18", True)]


def test_a_version_by_itself_names_its_datastore() -> None:
    """Also an inactive one can be shown by id."""
    _, read_model = projected(datastore_history())

    seen = shown(DatastoreVersions(read_model).get(OLD, project_id=None, view=View.DETAIL))

    assert (seen["datastore"], seen["name"]) == (str(ID), "17")


def test_finding_by_name() -> None:
    """Tenants type names; which versions are active can be asked for."""
    _, read_model = projected(datastore_history())
    versions = DatastoreVersions(read_model)

    def names(**facets: str) -> list[str]:
        page = versions.page(project_id=None, view=View.DETAIL, facets=facets)
        return [shown(document)["name"] for document in page.documents]

    assert names(datastore_id=str(ID), name="17") == ["17"]
    assert names(active="yes") == ["18"]


def test_a_datastore_without_active_version_can_be_left_out() -> None:
    """Before the first version was registered, a tenant's list does not show the datastore."""
    _, read_model = projected(datastore_history())
    datastores = Datastores(read_model)

    def count(position: int) -> int:
        facets = {"has_active_version": "yes"}
        page = datastores.page(project_id=None, view=View.DETAIL, facets=facets, as_of=position)
        return len(page.documents)

    assert (count(1), count(2)) == (0, 1)
