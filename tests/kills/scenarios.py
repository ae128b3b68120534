"""How each kind of operation is asked for, and what must be true when it has ended. Every kind of the catalogue is here."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
from tests.kills.processes import on_shelves
from tests.kills.stage import PASSWORD, Stage

__all__ = ["SCENARIOS", "Facts", "Scenario"]

Facts = Mapping[str, Any]
"""What is true after an operation, without anything that differs from run to run."""

_OTHER_PASSWORD = "another password of the stage"
_OF_RETRIES = {
    "instance.resource_expected.1",
    "instance.resource_absent.1",
    "instance.health_changed.1",
    "backup.upload_granted.1",
}
"""Said once more when a step is tried once more; all other facts of a history are said once."""


@dataclass(frozen=True)
class Scenario:
    """One way to have an operation. `prepare` gives the name or id of what the other three work on."""

    name: str
    kind: str
    prepare: Callable[[Stage], str]
    ask: Callable[[Stage, str], object]
    facts: Callable[[Stage, str], Facts]
    clear: Callable[[Stage, str], None]


def _new_name(stage: Stage) -> str:
    return f"n{uuid4().hex[:8]}"


def _no_work(stage: Stage, subject: str) -> None:
    """For scenarios that leave nothing behind."""


def _history(stage: Stage, stream_id: str) -> Counter[str]:
    topics = stage.watch.topics(stream_id)
    return Counter({topic: count for topic, count in topics.items() if topic not in _OF_RETRIES})


def _there(stage: Stage, instance_id: str) -> Facts:
    """An instance as a machine and a tenant see it."""
    instance = stage.instance(instance_id)
    return {
        "status": (instance["status"], instance["operating_status"]),
        "existing": msgspec.to_builtins(stage.existing(instance_id)),
        "on shelves": on_shelves(stage.machine.data / "cloud"),
        "rows": stage.watch.rows_of(instance_id).get("keys"),
        "counted": stage.watch.rows_of(instance_id).get("counted"),
    }


# -- instances ---------------------------------------------------------------------------------------------------------


def _ask_empty(stage: Stage, name: str) -> object:
    return stage.ask("POST", "/instances", {"instance": stage.instance_body(name)})


def _ask_restored(stage: Stage, name: str) -> object:
    plain = {"name": name, "flavorRef": "1", "volume": {"size": 1}}
    body = {"instance": {**plain, "restorePoint": {"backupRef": stage.backup}}}
    return stage.ask("POST", "/instances", body)


def _created(stage: Stage, name: str) -> Facts:
    instance_id = stage.instance_named(name)["id"]
    return {
        **_there(stage, instance_id),
        "history": _history(stage, instance_id),
        "databases": stage.databases(instance_id),
        "users": stage.users(instance_id),
        "login": stage.can_log_in(instance_id, "app", PASSWORD),
        "named so": sum(one["name"] == name for one in stage.ask("GET", "/instances").json()["instances"]),
    }


def _restored(stage: Stage, name: str) -> Facts:
    return {**_created(stage, name), "kept": stage.kept_rows(stage.instance_named(name)["id"])}


def _delete_named(stage: Stage, name: str) -> None:
    instance_id = stage.instance_named(name)["id"]
    stage.do("DELETE", f"/instances/{instance_id}")
    assert _gone(stage, instance_id) == _NOTHING_LEFT, _gone(stage, instance_id)


def _extra_instance(stage: Stage) -> str:
    name = _new_name(stage)
    stage.do("POST", "/instances", {"instance": stage.instance_body(name)})
    return str(stage.instance_named(name)["id"])


def _ask_deletion(stage: Stage, instance_id: str) -> object:
    return stage.ask("DELETE", f"/instances/{instance_id}")


def _gone(stage: Stage, instance_id: str) -> Facts:
    return {
        "answers": stage.has(f"/instances/{instance_id}"),
        "existing": {kind: n for kind, n in msgspec.to_builtins(stage.existing(instance_id)).items() if n},
        "rows": stage.watch.rows_of(instance_id),
        "deleted": stage.watch.topics(instance_id)["instance.deleted.1"],
    }


_NOTHING_LEFT: Facts = {"answers": False, "existing": {}, "rows": {}, "deleted": 1}


def _ask_restart(stage: Stage, started_at: str) -> object:
    return stage.ask("POST", f"/instances/{stage.base}/action", {"restart": {}})


def _engine_start(stage: Stage) -> str:
    with stage.connect(stage.base) as connection:
        row = connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()
    assert row is not None
    return str(row[0])


def _restarted(stage: Stage, started_at: str) -> Facts:
    return {
        **_there(stage, stage.base),
        "another start": _engine_start(stage) != started_at,
        "kept": stage.kept_rows(stage.base),
    }


# -- backups -----------------------------------------------------------------------------------------------------------


def _ask_backup(stage: Stage, name: str) -> object:
    return stage.ask("POST", "/backups", {"backup": {"name": name, "instance": stage.base}})


def _backed_up(stage: Stage, name: str) -> Facts:
    backup = stage.backup_named(name)
    folder = stage.machine.data / "backups" / backup["id"]
    return {
        "status": backup["status"],
        "objects": sorted(path.name for path in folder.iterdir()),
        "backups": len(list(folder.parent.iterdir())),
        "rows": stage.watch.rows_of(backup["id"]),
        "history": _history(stage, backup["id"]),
        "source": msgspec.to_builtins(stage.existing(stage.base)),
    }


def _restore_and_delete(stage: Stage, name: str) -> None:
    """What makes a backup one: it can be restored."""
    copy, backup_id = _new_name(stage), stage.backup_named(name)["id"]
    body = {"name": copy, "flavorRef": "1", "volume": {"size": 1}, "restorePoint": {"backupRef": backup_id}}
    stage.do("POST", "/instances", {"instance": body})
    stage.kept_rows(stage.instance_named(copy)["id"])
    _delete_named(stage, copy)
    stage.do("DELETE", f"/backups/{backup_id}")


def _extra_backup(stage: Stage) -> str:
    name = _new_name(stage)
    stage.do("POST", "/backups", {"backup": {"name": name, "instance": stage.base}})
    return str(stage.backup_named(name)["id"])


def _ask_backup_deletion(stage: Stage, backup_id: str) -> object:
    return stage.ask("DELETE", f"/backups/{backup_id}")


def _backup_gone(stage: Stage, backup_id: str) -> Facts:
    return {
        "answers": stage.has(f"/backups/{backup_id}"),
        "objects": (stage.machine.data / "backups" / backup_id).exists(),
        "rows": stage.watch.rows_of(backup_id),
        "deleted": stage.watch.topics(backup_id)["backup.deleted.1"],
    }


def _ask_resize(stage: Stage, instance_id: str) -> object:
    return stage.ask("POST", f"/instances/{instance_id}/action", {"resize": {"volume": {"size": 3}}})


def _resized(stage: Stage, instance_id: str) -> Facts:
    topics = stage.watch.topics(instance_id)
    return {
        **_there(stage, instance_id),
        "size": stage.ask("GET", f"/instances/{instance_id}").json()["instance"]["volume"]["size"],
        "extended": topics["instance.volume_extended.1"],
        "grown": topics["instance.volume_grown.1"],
        "databases": stage.databases(instance_id),
    }


def _delete_instance(stage: Stage, instance_id: str) -> None:
    stage.do("DELETE", f"/instances/{instance_id}")


# -- databases, accounts, the superuser --------------------------------------------------------------------------------


def _inside(stage: Stage, subject: str) -> Facts:
    """What is in the standing instance, with the account `extra` if there is one."""
    return {
        "databases": stage.databases(stage.base),
        "users": stage.users(stage.base),
        "logins": [stage.can_log_in(stage.base, "extra", word) for word in (PASSWORD, _OTHER_PASSWORD)],
        "root": stage.can_log_in(stage.base, "root", PASSWORD, "postgres"),
        "enabled": stage.ask("GET", f"/instances/{stage.base}/root").json()["rootEnabled"],
        **_there(stage, stage.base),
    }


def _extra_user(stage: Stage) -> str:
    user = {"name": "extra", "password": PASSWORD, "databases": [{"name": "shop"}]}
    stage.do("POST", f"/instances/{stage.base}/users", {"users": [user]})
    return "extra"


def _extra_database(stage: Stage) -> str:
    stage.do("POST", f"/instances/{stage.base}/databases", {"databases": [{"name": "extra"}]})
    return "extra"


def _root(stage: Stage) -> str:
    stage.do("POST", f"/instances/{stage.base}/root", {"password": PASSWORD})
    return "root"


def _asking(method: str, path: str, body: Any = None) -> Callable[[Stage, str], object]:
    def ask(stage: Stage, subject: str) -> object:
        return stage.ask(method, f"/instances/{stage.base}{path}", body)

    return ask


def _dropping(*paths: str) -> Callable[[Stage, str], None]:
    def clear(stage: Stage, subject: str) -> None:
        for path in paths:
            stage.do("DELETE", f"/instances/{stage.base}{path}")

    return clear


_USERS = [
    {"name": "extra", "password": PASSWORD, "databases": [{"name": "shop"}]},
    {"name": "more", "password": PASSWORD},
]
_DATABASES = [{"name": "extra"}, {"name": "more"}]

SCENARIOS = (
    Scenario("create an empty instance", "create_instance.1", _new_name, _ask_empty, _created, _delete_named),
    Scenario(
        "create from a backup", "create_instance.1", _new_name, _ask_restored, _restored, _delete_named
    ),
    Scenario("delete an instance", "delete_instance.1", _extra_instance, _ask_deletion, _gone, _no_work),
    Scenario("restart", "restart_instance.1", _engine_start, _ask_restart, _restarted, _no_work),
    Scenario("resize the volume", "resize_volume.1", _extra_instance, _ask_resize, _resized, _delete_instance),
    Scenario(
        "create a backup", "create_backup.1", _new_name, _ask_backup, _backed_up, _restore_and_delete
    ),
    Scenario(
        "delete a backup", "delete_backup.1", _extra_backup, _ask_backup_deletion, _backup_gone, _no_work
    ),
    Scenario(
        "create databases", "create_databases.1", _new_name,
        _asking("POST", "/databases", {"databases": _DATABASES}), _inside,
        _dropping("/databases/extra", "/databases/more"),
    ),
    Scenario(
        "drop a database", "drop_database.1", _extra_database,
        _asking("DELETE", "/databases/extra"), _inside, _no_work,
    ),
    Scenario(
        "create users", "create_users.1", _new_name,
        _asking("POST", "/users", {"users": _USERS}), _inside,
        _dropping("/users/extra", "/users/more"),
    ),
    Scenario(
        "change a password", "alter_user.1", _extra_user,
        _asking("PUT", "/users", {"users": [{"name": "extra", "password": _OTHER_PASSWORD}]}), _inside,
        _dropping("/users/extra"),
    ),
    Scenario(
        "drop a user", "drop_user.1", _extra_user, _asking("DELETE", "/users/extra"), _inside, _no_work
    ),
    Scenario(
        "grant", "grant.1", _extra_user,
        _asking("PUT", "/users/extra/databases", {"databases": [{"name": "stock"}]}), _inside,
        _dropping("/users/extra"),
    ),
    Scenario(
        "revoke", "revoke.1", _extra_user, _asking("DELETE", "/users/extra/databases/shop"), _inside,
        _dropping("/users/extra"),
    ),
    Scenario(
        "enable the superuser", "enable_superuser.1", _new_name,
        _asking("POST", "/root", {"password": PASSWORD}), _inside, _dropping("/root"),
    ),
    Scenario(
        "disable the superuser", "disable_superuser.1", _root, _asking("DELETE", "/root"), _inside, _no_work
    ),
)  # fmt: skip
