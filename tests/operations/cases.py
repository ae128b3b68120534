"""How each kind of operation comes to be started: one case a kind. The helpers run whatever is in the catalogue, and a kind
without a case fails them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.arguments import (
    AlterUserArguments,
    Arguments,
    DatabasesArguments,
    DropDatabaseArguments,
    DropUserArguments,
    GrantArguments,
    RevokeArguments,
    SuperuserArguments,
    UsersArguments,
)
from muniment.operations.databases import CREATE_DATABASES, DROP_DATABASE
from muniment.operations.grants import GRANT, REVOKE
from muniment.operations.steps import Definition
from muniment.operations.superuser import DISABLE_SUPERUSER, ENABLE_SUPERUSER
from muniment.operations.users import ALTER_USER, CREATE_USERS, DROP_USER
from muniment.secret import Secret

__all__ = ["CASES", "Case", "instance_of", "running_instance"]

Case = Callable[[World], UUID]
"""Brings a world to where the operation can be started, starts it, and returns its id."""


def running_instance(world: World) -> UUID:
    """An instance that is there, with a database and a user."""
    world.quietly(lambda: Requests(world).create())
    (instance_id,) = world.watch.instances
    return instance_id


def instance_of(world: World) -> UUID:
    """The newest instance of a world."""
    return list(world.watch.instances)[-1]


def completed_backup(world: World) -> UUID:
    """A backup of a running instance."""
    instance_id = running_instance(world)
    requests = Requests(world)
    world.quietly(lambda: requests.back_up(world.instance(instance_id)))
    (backup_id,) = world.watch.backups
    return backup_id


def create_instance(world: World) -> UUID:
    """From a backup, so that every step there is has its turn."""
    backup_id = completed_backup(world)
    requests = Requests(world)
    return requests.create(databases=2, users=1, backup=world.backup(backup_id)).operation_id


def delete_instance(world: World) -> UUID:
    """A running one."""
    deletion = Requests(world).delete(running_instance(world)).operation_id
    assert deletion is not None
    return deletion


def restart_instance(world: World) -> UUID:
    """A running one."""
    requests = Requests(world)
    return requests.restart(world.instance(running_instance(world))).operation_id


def resize_volume(world: World) -> UUID:
    """Of a running one, whose engine has stopped."""
    instance_id = running_instance(world)
    server = world.server_of(instance_id)
    assert server is not None
    server.data.is_started = False
    return Requests(world).resize(world.instance(instance_id), 4).operation_id


def create_backup(world: World) -> UUID:
    """Of a running instance."""
    requests = Requests(world)
    return requests.back_up(world.instance(running_instance(world))).operation_id


def delete_backup(world: World) -> UUID:
    """A completed one."""
    requests = Requests(world)
    return requests.delete_backup(world.backup(completed_backup(world))).operation_id


def _on_databases(
    definition: Definition, arguments: Callable[[UUID], Arguments | None], *, has_secret: bool = False
) -> Case:
    """A case on a running instance; `arguments` takes the reference of a new password."""

    def start(world: World) -> UUID:
        requests = Requests(world)
        instance = world.instance(running_instance(world))
        ref = world.new_id()
        secrets = {ref: Secret("a new password")} if has_secret else {}
        beginning = requests.on_instance(definition, instance, arguments(ref), secrets)
        return beginning.operation_id

    return start


CASES: Final[Mapping[str, Case]] = {
    "create_instance.1": create_instance,
    "delete_instance.1": delete_instance,
    "restart_instance.1": restart_instance,
    "resize_volume.1": resize_volume,
    "create_backup.1": create_backup,
    "delete_backup.1": delete_backup,
    "create_databases.1": _on_databases(
        CREATE_DATABASES,
        lambda ref: DatabasesArguments(databases=(WantedDatabase(name="more"), WantedDatabase(name="again"))),
    ),
    "drop_database.1": _on_databases(DROP_DATABASE, lambda ref: DropDatabaseArguments(name="db0")),
    "create_users.1": _on_databases(
        CREATE_USERS,
        lambda ref: UsersArguments(users=(WantedUser(name="more", secret_ref=ref),)),
        has_secret=True,
    ),
    "alter_user.1": _on_databases(
        ALTER_USER, lambda ref: AlterUserArguments(name="user0", secret_ref=ref), has_secret=True
    ),
    "drop_user.1": _on_databases(DROP_USER, lambda ref: DropUserArguments(name="user0")),
    "grant.1": _on_databases(GRANT, lambda ref: GrantArguments(name="user0", databases=("db0",))),
    "revoke.1": _on_databases(REVOKE, lambda ref: RevokeArguments(name="user0", database="db0")),
    "enable_superuser.1": _on_databases(
        ENABLE_SUPERUSER, lambda ref: SuperuserArguments(secret_ref=ref), has_secret=True
    ),
    "disable_superuser.1": _on_databases(DISABLE_SUPERUSER, lambda ref: None),
}
