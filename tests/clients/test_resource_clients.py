"""The ordinary OpenStack clients read and set what the first resources serve, over a real socket."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from tests.support.accounts import BLUE, RED
from tests.support.openstack_clients import OpenStackClients
from tests.support.rest_world import rest_world
from tests.support.uvicorn_server import served

from muniment.clock import SystemClock

# The SDK warns of what it does itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStackClients]:
    """One served API with a datastore, for all tests of this file."""
    folder = tmp_path_factory.mktemp("clients")
    with rest_world(folder, SystemClock()) as world, served(world.app) as url:
        world.register("postgresql", "18", number="18.6", default=True)
        yield OpenStackClients(url, folder)


def test_cli_lists_datastores_and_versions(clients: OpenStackClients) -> None:
    """`datastore list` and `datastore version list` show what is registered."""
    (datastore,) = clients.rows("red", "datastore", "list")
    (version,) = clients.rows("red", "datastore", "version", "list", "postgresql")
    assert datastore["Name"] == "postgresql"
    assert (version["Name"], version["Version"]) == ("18", "18.6")


def test_cli_lists_flavors(clients: OpenStackClients) -> None:
    """`database flavor list` shows ids of both kinds."""
    rows = clients.rows("red", "database", "flavor", "list")
    assert {(str(row["ID"]), row["Name"], row["RAM"]) for row in rows} == {
        ("1", "d1.small", 512),
        ("c7-large", "d1.large", 4096),
    }


def test_cli_shows_a_quota_by_the_projects_name(clients: OpenStackClients) -> None:
    """`database quota show NAME` finds the project among one's own and shows its quota."""
    rows = clients.rows("red", "database", "quota", "show", "red")
    assert {row["Resource"]: row["Limit"] for row in rows}["instances"] == 10


def test_cli_sets_a_quota_as_administrator(clients: OpenStackClients) -> None:
    """`database quota update NAME` sets a limit of any project, and `limit list` shows it to the project."""
    done = clients.cli("office", "database", "quota", "update", "blue", "backups", "7")
    assert done.returncode == 0, done.stderr
    rows = clients.rows("office", "database", "quota", "show", "blue")
    assert {row["Resource"]: row["Limit"] for row in rows}["backups"] == 7
    assert clients.cli("by-ids", "database", "limit", "list").returncode == 0


def test_cli_says_why_a_quota_is_not_shown(clients: OpenStackClients) -> None:
    """A tenant that asks for another project's quota reads the policy's answer, not a traceback."""
    done = clients.cli("red", "database", "quota", "show", str(UUID(int=7)))
    assert done.returncode == 1
    assert "Policy doesn't allow quota:show:all_projects" in done.stderr


def test_sdk_lists_flavors(clients: OpenStackClients) -> None:
    """The SDK finds a flavor by name and lists all."""
    with clients.sdk("red") as connection:
        assert [flavor.name for flavor in connection.database.flavors()] == ["d1.small", "d1.large"]
        found = connection.database.find_flavor("d1.large")
        assert found is not None
        assert found.name == "d1.large"


def test_sdk_reads_below_the_project_it_logged_in_for(clients: OpenStackClients) -> None:
    """The catalogue's address leads each project to its own quota."""
    for cloud, project in (("red", RED), ("by-ids", BLUE)):
        with clients.sdk(cloud) as connection:
            answer = connection.database.get(f"/mgmt/quotas/{project.id}")
            assert answer.status_code == 200
            assert len(answer.json()["quotas"]) == 4
