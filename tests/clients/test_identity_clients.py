"""The ordinary OpenStack clients log in to the embedded identity over a real socket."""

from collections.abc import Iterator

import pytest
from openstack.exceptions import SDKException
from openstack.identity.v3._proxy import Proxy as IdentityV3
from tests.support.accounts import BLUE, CHEAP, OFFICE, RED, users_file
from tests.support.openstack_clients import OpenStackClients
from tests.support.uvicorn_server import served

from muniment.clock import SystemClock
from muniment_api.app import create_app
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.auth.logins import Logins
from muniment_api.settings import ApiSettings

# The SDK warns of what it does itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStackClients]:
    """One served API for all tests of this file."""
    folder = tmp_path_factory.mktemp("clients")
    users, clock, settings = users_file(folder), SystemClock(), ApiSettings()
    identity = EmbeddedIdentity(users, clock, logins=Logins(users, clock, cost=CHEAP))
    app = create_app(
        identity=identity,
        services=None,  # type: ignore[arg-type]  # no route below asks for one
        settings=settings,
        checks={},
        identity_app=keystone_app(identity, settings),
        routes=(),
    )
    with served(app) as url:
        yield OpenStackClients(url, folder)


def test_cli_issues_a_token(clients: OpenStackClients) -> None:
    """`openstack token issue` shows the token with its project and user."""
    told = clients.told("red", "token", "issue")
    assert isinstance(told, dict)
    assert (told["project_id"], told["user_id"]) == (RED.id, "u-alice")
    assert told["id"]


def test_cli_lists_the_catalogue(clients: OpenStackClients) -> None:
    """`openstack catalog list` shows both services at the address that was logged in to."""
    told = clients.told("red", "catalog", "list")
    assert isinstance(told, list)
    urls = {entry["Type"]: {endpoint["url"] for endpoint in entry["Endpoints"]} for entry in told}
    assert urls == {"identity": {f"{clients.url}/identity/v3"}, "database": {f"{clients.url}/v1.0/{RED.id}"}}


def test_cli_lists_and_shows_projects(clients: OpenStackClients) -> None:
    """`project list` shows one's own projects, `project show` finds one by its name."""
    told = clients.told("red", "project", "list")
    shown = clients.told("red", "project", "show", "blue")
    assert isinstance(told, list)
    assert isinstance(shown, dict)
    assert {entry["ID"] for entry in told} == {RED.id, BLUE.id}
    assert (shown["id"], shown["domain_id"]) == (BLUE.id, "default")


def test_cli_shows_a_user_to_an_admin(clients: OpenStackClients) -> None:
    """`user show NAME` works for an admin."""
    shown = clients.told("office", "user", "show", "rita")
    assert isinstance(shown, dict)
    assert shown["id"] == "u-rita"


def test_cli_says_why_it_cannot_log_in(clients: OpenStackClients) -> None:
    """A wrong password ends with one line of ours and an exit code."""
    done = clients.cli("wrong", "token", "issue")
    assert done.returncode == 1
    assert "The request you have made requires authentication." in done.stderr
    assert "Traceback" not in done.stderr


def test_cli_revokes_a_token(clients: OpenStackClients) -> None:
    """`token revoke` ends a token."""
    value = clients.sdk("red").session.get_token()
    assert value is not None
    done = clients.cli("red", "token", "revoke", value)
    assert done.returncode == 0, done.stderr
    renewed = clients.sdk("red").session.get(
        f"{clients.url}/identity/v3/projects",
        headers={"X-Auth-Token": value},
        raise_exc=False,
        authenticated=False,
    )
    assert renewed.status_code == 401


@pytest.mark.parametrize("cloud", ["red", "by-ids", "domain-id-as-name", "no-domain", "office"])
def test_sdk_logs_in_however_it_is_configured(clients: OpenStackClients, cloud: str) -> None:
    """Names, ids, the domain's id for its name, and no domain at all lead to a token with a project."""
    with clients.sdk(cloud) as connection:
        assert connection.current_project_id in (RED.id, BLUE.id, OFFICE.id)
        assert connection.current_user_id is not None


def test_sdk_finds_projects_and_services(clients: OpenStackClients) -> None:
    """The SDK finds a project by name, the database service in the catalogue, and its version without a token."""
    with clients.sdk("red") as connection:
        identity = connection.identity
        assert isinstance(identity, IdentityV3)
        found = identity.find_project("blue")
        assert found is not None
        assert found.id == BLUE.id
        assert identity.find_project("office") is None
        assert connection.has_service("database")
        database = connection.database.get_endpoint_data()
        assert database is not None
        assert database.url == f"{clients.url}/v1.0/{RED.id}"


def test_sdk_changes_to_another_project(clients: OpenStackClients) -> None:
    """`connect_as_project` logs in again for another of the user's projects."""
    with clients.sdk("red") as connection, connection.connect_as_project("blue") as other:
        assert other.current_project_id == BLUE.id


def test_sdk_is_refused_a_wrong_password(clients: OpenStackClients) -> None:
    """A wrong password is the SDK's own 401."""
    with clients.sdk("wrong") as connection, pytest.raises(SDKException, match="requires authentication"):
        connection.authorize()
