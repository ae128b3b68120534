"""Backups over REST: taken, listed, restored, deleted."""

from uuid import UUID, uuid4

import pytest
from tests.support.accounts import BLUE, OFFICE, RED
from tests.support.faults import told
from tests.support.rest_world import RestWorld

from muniment.contract.errors import Code, GuestError
from muniment.domain.datastore import version_id

Quiet = tuple[RestWorld, str]


def _taken(world: RestWorld, instance: str, name: str = "nightly") -> str:
    answer = world.call("POST", "/backups", json={"backup": {"name": name, "instance": instance}})
    assert answer.status_code == 202, answer.text
    world.settle()
    taken: str = answer.json()["backup"]["id"]
    return taken


def test_backup_is_accepted_with_its_view(live_world: RestWorld, instance: str) -> None:
    """The 202 has a body: the backup as it begins. Later it is COMPLETED with its size, and counted."""
    asked = {"name": "nightly", "instance": instance, "incremental": 0, "description": "before the change"}
    answer = live_world.call("POST", "/backups", json={"backup": asked})
    begun = answer.json()["backup"]
    assert answer.status_code == 202
    assert (begun["status"], begun["size"], begun["locationRef"]) == ("NEW", None, None)
    assert begun["datastore"] == {
        "type": "postgresql",
        "version": "18",
        "version_id": str(version_id("postgresql", "18")),
    }
    live_world.settle()
    shown = live_world.call("GET", f"/backups/{begun['id']}").json()["backup"]
    assert (shown["status"], shown["size"], shown["project_id"]) == ("COMPLETED", 1.5, RED.id)
    assert (shown["description"], shown["parent_id"]) == ("before the change", None)
    assert shown["locationRef"] == f"file:{begun['id']}"
    with live_world.ledger.reading() as reader:
        assert reader.counted(RED.id)["backups"] == {"in_use": 1, "reserved": 0}


def test_instance_shows_that_it_is_backed_up(live_world: RestWorld, instance: str) -> None:
    """While a backup runs the instance is BACKUP, another backup and a restart are 422, and users can still be listed."""
    assert live_world.guests is not None
    live_world.guests.holds.add("backup.create")
    live_world.call("POST", "/backups", json={"backup": {"name": "a", "instance": instance}})
    shown = live_world.call("GET", f"/instances/{instance}").json()["instance"]
    assert (shown["status"], shown["operating_status"]) == ("BACKUP", "HEALTHY")
    again = live_world.call("POST", "/backups", json={"backup": {"name": "b", "instance": instance}})
    restart = live_world.call("POST", f"/instances/{instance}/action", json={"restart": {}})
    assert told(again).status == told(restart).status == 422
    assert live_world.call("GET", f"/instances/{instance}/users").status_code == 200
    (running,) = live_world.call("GET", "/backups").json()["backups"]
    assert told(live_world.call("DELETE", f"/backups/{running['id']}")).status == 422


def test_lists_are_narrowed(live_world: RestWorld, instance: str) -> None:
    """By instance, by datastore (name or id), by the instance's own path; newest first, in pages."""
    first, second = _taken(live_world, instance, "first"), _taken(live_world, instance, "second")
    datastore = live_world.call("GET", "/datastores/postgresql").json()["datastore"]["id"]
    for path in (
        "/backups",
        f"/backups?instance_id={instance}",
        f"/backups?instance_id={instance.upper()}",
        "/backups?datastore=postgresql",
        f"/backups?datastore={datastore}",
        f"/backups?project_id={RED.id}",
        f"/instances/{instance}/backups",
    ):
        listed = live_world.call("GET", path).json()["backups"]
        assert {backup["id"] for backup in listed} == {first, second}, path
    for path in (f"/backups?instance_id={uuid4()}", "/backups?instance_id=x"):
        assert live_world.call("GET", path).json() == {"backups": []}
    page = live_world.call("GET", "/backups?limit=1").json()
    rest = live_world.call("GET", page["links"][0]["href"].partition(RED.id)[2]).json()
    assert {page["backups"][0]["id"], rest["backups"][0]["id"]} == {first, second}
    assert "links" not in rest


def test_other_projects_backups_are_for_administrators(live_world: RestWorld, instance: str) -> None:
    """All projects' or another project's list is 403 for tenants."""
    taken = _taken(live_world, instance)
    for query in ("all_projects=true", "all_projects=1", f"project_id={BLUE.id}", "project_id="):
        assert told(live_world.call("GET", f"/backups?{query}")).status == 403
    for query in ("all_projects=yes", f"project_id={RED.id}"):
        (listed,) = live_world.call("GET", f"/backups?{query}", user="root").json()["backups"]
        assert listed["id"] == taken
    assert live_world.call("GET", "/backups", user="root").json() == {"backups": []}


@pytest.mark.parametrize(
    ("more", "status", "word"),
    [
        ({"name": None}, 400, "name"),
        ({"name": "---"}, 400, "name"),
        ({"instance": None}, 400, "instance"),
        ({"instance": "orders-db"}, 400, "instance"),
        ({"instance": str(UUID(int=7))}, 404, "instance"),
        ({"description": ""}, 400, "description"),
        ({"incremental": 2}, 400, "incremental"),
        ({"incremental": 1}, 422, "backup.incremental"),
        ({"incremental": True}, 422, "backup.incremental"),
        ({"parent_id": str(UUID(int=7))}, 422, "backup.incremental"),
        ({"swift_container": "$(id)"}, 400, "swift_container"),
        ({"restore_from": {"remote_location": "http://x"}}, 422, "other stores"),
        ({"restore_from": {}}, 400, "remote_location"),
    ],
    ids=str,
)
def test_bad_request_is_refused(quiet: Quiet, more: dict[str, object], status: int, word: str) -> None:
    """Every mistake has its status and is named; nothing is recorded."""
    world, instance = quiet
    head = world.ledger.log.head()
    refused = told(
        world.call("POST", "/backups", json={"backup": {"name": "b", "instance": instance, **more}})
    )
    assert refused.status == status
    assert word in refused.message
    assert world.ledger.log.head() == head


def test_unknown_datastore_is_404(quiet: Quiet) -> None:
    """A list is not narrowed by what does not exist."""
    assert told(quiet[0].call("GET", "/backups?datastore=mongodb")).status == 404


def test_building_instance_is_not_backed_up(open_world: RestWorld) -> None:
    """The instance must be active."""
    asked = {"backup": {"name": "b", "instance": open_world.made()}}
    assert told(open_world.call("POST", "/backups", json=asked)).status == 422


def test_backup_quota_is_413(live_world: RestWorld, instance: str) -> None:
    """No more backups than the project may have."""
    live_world.call("PUT", f"/mgmt/quotas/{RED.id}", user="root", json={"quotas": {"backups": 0}})
    refused = told(live_world.call("POST", "/backups", json={"backup": {"name": "b", "instance": instance}}))
    assert (refused.status, refused.key) == (413, "overLimit")
    assert "backups" in refused.message


def _restore(backup: str, *, size: int = 2, **more: object) -> dict[str, object]:
    return {"restorePoint": {"backupRef": backup}, "volume": {"size": size}, **more}


def test_backup_becomes_another_instance(live_world: RestWorld, instance: str) -> None:
    """A restore names the backup and is an instance like any other; the backup stays."""
    taken = _taken(live_world, instance)
    copy = live_world.made(name="copy", **_restore(taken.upper()))
    live_world.settle()
    assert live_world.call("GET", f"/instances/{copy}").json()["instance"]["status"] == "ACTIVE"
    assert live_world.call("GET", f"/backups/{taken}").status_code == 200


def test_restore_is_refused_where_it_cannot_succeed(live_world: RestWorld, instance: str) -> None:
    """Too small: 403 with the size that is needed. Not complete: 409. Another project's, also for administrators: 404."""
    taken = _taken(live_world, instance)
    wanted = {"name": "copy", "flavorRef": "1"}
    head = live_world.ledger.log.head()
    small = told(live_world.call("POST", "/instances", json={"instance": wanted | _restore(taken, size=1)}))
    assert small.status == 403
    assert "at least 2 GiB" in small.message
    for user, project in (("alice", BLUE.id), ("root", OFFICE.id)):
        refused = live_world.call(
            "POST", "/instances", user=user, project=project, json={"instance": wanted | _restore(taken)}
        )
        assert told(refused).status == 404
    assert live_world.ledger.log.head() == head


def test_incomplete_backup_is_not_restored(live_world: RestWorld, instance: str) -> None:
    """A failed backup says so, is refused with 409, and can be deleted."""
    assert live_world.guests is not None
    live_world.guests.errors["backup.create"] = GuestError(
        code=Code.RESOURCE_EXHAUSTED, message="no space left"
    )
    taken = _taken(live_world, instance)
    assert live_world.call("GET", f"/backups/{taken}").json()["backup"]["status"] == "FAILED"
    body = {"instance": {"name": "copy", "flavorRef": "1", **_restore(taken)}}
    assert told(live_world.call("POST", "/instances", json=body)).key == "conflict"
    assert live_world.call("DELETE", f"/backups/{taken}").status_code == 202


def test_backup_is_deleted_once(live_world: RestWorld, instance: str) -> None:
    """Deleting twice is 202 and one operation; then it is gone and no longer counted."""
    taken = _taken(live_world, instance)
    with live_world.working:
        assert live_world.call("DELETE", f"/backups/{taken}").status_code == 202
        head = live_world.ledger.log.head()
        assert live_world.call("DELETE", f"/backups/{taken}").status_code == 202
        assert live_world.ledger.log.head() == head
        body = {"instance": {"name": "copy", "flavorRef": "1", **_restore(taken)}}
        assert told(live_world.call("POST", "/instances", json=body)).status == 409
    live_world.settle()
    assert told(live_world.call("GET", f"/backups/{taken}")).status == 404
    assert told(live_world.call("DELETE", f"/backups/{taken}")).status == 404
    with live_world.ledger.reading() as reader:
        assert "backups" not in reader.counted(RED.id)


def test_backup_survives_its_instance(live_world: RestWorld, instance: str) -> None:
    """After the instance is gone its backups are listed and restored."""
    taken = _taken(live_world, instance)
    live_world.call("DELETE", f"/instances/{instance}")
    live_world.settle()
    assert told(live_world.call("GET", f"/instances/{instance}/backups")).status == 404
    assert [b["id"] for b in live_world.call("GET", "/backups").json()["backups"]] == [taken]
    copy = live_world.made(name="copy", **_restore(taken))
    live_world.settle()
    assert live_world.call("GET", f"/instances/{copy}").json()["instance"]["status"] == "ACTIVE"


@pytest.mark.parametrize("key", ["nightly", str(UUID(int=7)), "%00"])
def test_what_is_no_backup_is_not_found(quiet: Quiet, key: str) -> None:
    """Names and unknown ids are 404."""
    for method in ("GET", "DELETE"):
        assert told(quiet[0].call(method, f"/backups/{key}")).status == 404
