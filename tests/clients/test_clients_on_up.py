"""The ordinary OpenStack clients and PostgreSQL's own, against a real `muniment up` with a real agent and engine."""

import os
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from tests.clients.conftest import Served

pytestmark = [
    pytest.mark.engine,
    # The SDK warns of what it does itself.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
]


def _select(instance: dict[str, Any], database: str, user: str, password: str, query: str) -> Any:
    """The one value that a query has for a user who logs in."""
    (endpoint,) = instance["endpoints"]
    with psycopg.connect(
        host=endpoint["host"], port=endpoint["port"], dbname=database, user=user, password=password,
        connect_timeout=10,
    ) as connection:  # fmt: skip
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _name() -> str:
    return f"n{uuid4().hex[:12]}"


def test_instance_is_found_by_name_and_by_id(served: Served, shared: dict[str, Any]) -> None:
    """`instance list` has it, `instance show` finds it by its id and by its name."""
    by_id = served.told("database", "instance", "show", shared["id"])
    by_name = served.told("database", "instance", "show", "shared")
    assert by_id == by_name
    assert (by_id["id"], by_id["status"], by_id["operating_status"]) == (shared["id"], "ACTIVE", "HEALTHY")
    rows = served.told("database", "instance", "list")
    assert [row["Status"] for row in rows if row["ID"] == shared["id"]] == ["ACTIVE"]


def test_first_user_logs_in(shared: dict[str, Any]) -> None:
    """The user of the create request logs in with its password, and with no other."""
    assert _select(shared, "orders", "app", "first-password", "SELECT session_user") == "app"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _select(shared, "orders", "app", "another-password", "SELECT 1")


def test_backup_comes_and_goes(served: Served, shared: dict[str, Any]) -> None:
    """`backup create`, `list`, `show` and `delete`, by the instance's name and the backup's id."""
    made = served.told("database", "backup", "create", _name(), "--instance", "shared")
    served.settle()
    shown = served.told("database", "backup", "show", made["id"])
    assert (shown["status"], shown["instance_id"]) == ("COMPLETED", shared["id"])
    assert made["id"] in {row["ID"] for row in served.told("database", "backup", "list")}
    served.does("database", "backup", "delete", made["id"])
    served.machine.wait_for(lambda: served.is_gone(f"/backups/{made['id']}"), "the backup is gone")


def test_volume_grows(served: Served, shared: dict[str, Any]) -> None:
    """`instance resize volume`, by the instance's name; afterwards the new size is shown."""
    served.does("database", "instance", "resize", "volume", "shared", "3")
    served.settle()
    shown = served.told("database", "instance", "show", "shared")
    assert (shown["status"], shown["volume"]) == ("ACTIVE", 3)


def test_user_comes_is_granted_and_goes(served: Served, shared: dict[str, Any]) -> None:
    """`user create`, `list`, `grant access`, `show access`, `revoke access`, `delete`; psql's protocol agrees."""
    name = _name()
    served.does("database", "user", "create", shared["id"], name, "pass-word-1")
    served.settle()
    assert name in served.names("database", "user", "list", shared["id"])
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        _select(shared, "orders", name, "pass-word-1", "SELECT 1")
    served.does("database", "user", "grant", "access", shared["id"], name, "orders")
    served.settle()
    assert served.names("database", "user", "show", "access", shared["id"], name) == {"orders"}
    assert _select(shared, "orders", name, "pass-word-1", "SELECT 7") == 7
    served.does("database", "user", "revoke", "access", shared["id"], name, "orders")
    served.settle()
    assert served.get(f"/instances/{shared['id']}/users/{name}/databases") == {"databases": []}
    served.does("database", "user", "delete", shared["id"], name)
    served.settle()
    assert served.is_gone(f"/instances/{shared['id']}/users/{name}")


def test_database_comes_and_goes(served: Served, shared: dict[str, Any]) -> None:
    """`db create`, `list` and `delete`."""
    name = _name()
    served.does("database", "db", "create", shared["id"], name)
    served.settle()
    assert name in served.names("database", "db", "list", shared["id"])
    served.does("database", "db", "delete", shared["id"], name)
    served.settle()
    assert served.is_gone(f"/instances/{shared['id']}/databases/{name}")


def test_superuser_is_enabled_shown_and_disabled(served: Served, shared: dict[str, Any]) -> None:
    """`root enable` prints a password that is good at once; `show` and `disable` follow. Where engines are not isolated from
    each other it is refused by name."""
    if os.geteuid() != 0:
        done = served.cli("database", "root", "enable", shared["id"])
        assert (done.returncode, "allow_shared_superuser" in done.stderr) == (1, True)
        return
    enabled = served.told("database", "root", "enable", shared["id"])
    assert _select(shared, "postgres", "root", enabled["password"], "SHOW is_superuser") == "on"
    assert served.told("database", "root", "show", shared["id"])["is_root_enabled"] in (True, "True")
    served.does("database", "root", "disable", shared["id"])
    assert served.get(f"/instances/{shared['id']}/root") == {"rootEnabled": False}


def test_what_is_offered_is_listed(served: Served, shared: dict[str, Any]) -> None:
    """`datastore version list` has what the driver registered, and `quota show` counts the instance. The other lists are
    tested against an API without engines."""
    assert served.names("datastore", "version", "list", "postgresql") == {"18"}
    quotas = {row["Resource"]: row for row in served.told("database", "quota", "show", "demo")}
    assert quotas["instances"]["In Use"] >= 1


def test_sdk_makes_an_instance_and_what_is_in_it(served: Served) -> None:
    """openstacksdk: `create_instance` with `flavor`, `create_database`, `create_user`, restart, delete."""
    name = _name()
    with served.sdk() as connection:
        database = connection.database
        made = database.create_instance(
            name=name, flavor="1", volume={"size": 1}, datastore={"type": "postgresql", "version": "18"}
        )
        served.settle()
        found = database.find_instance(name)
        assert found is not None
        assert (found.id, found.status) == (made.id, "ACTIVE")
        database.create_database(made, name="sdk-data")
        database.create_user(made, name="sdk", password="pass-word-2", databases=[{"name": "sdk-data"}])
        served.settle()
        assert [entry.name for entry in database.databases(made)] == ["sdk-data"]
        assert [entry.name for entry in database.users(made)] == ["sdk"]
        found.restart(connection.database)
        served.settle()
        shown = served.get(f"/instances/{made.id}")["instance"]
        assert shown["status"] == "ACTIVE"
        database.delete_instance(made)
        served.machine.wait_for(lambda: database.find_instance(name) is None, "the instance is gone")


def test_instance_is_deleted_by_name(served: Served) -> None:
    """`instance delete NAME` is accepted at any time; then `instance show` says that there is none."""
    name = _name()
    made = served.told(
        "database", "instance", "create", name, "--flavor", "1", "--size", "1", "--datastore", "postgresql"
    )
    served.does("database", "instance", "delete", name)
    served.machine.wait_for(lambda: served.is_gone(f"/instances/{made['id']}"), "the instance is gone")
    done = served.cli("database", "instance", "show", name)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
