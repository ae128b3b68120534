"""Carries out ops: the agent's own, and the driver's by the methods that the contract names for them."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from muniment.clock import Clock
from muniment.contract import ops
from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import (
    Backups,
    DatabasesDriver,
    GuestDriver,
    Job,
    Restores,
    SuperuserDriver,
    UsersDriver,
)
from muniment.contract.manifest import Capability
from muniment.contract.ops import Nothing
from muniment.secret import Secret
from muniment_guest.backups import abandon_backup, take_backup
from muniment_guest.restores import Restoration, RestoreNote

__all__ = ["DRIVER_OPS", "Work", "decode_args"]

A = TypeVar("A", bound=msgspec.Struct)
P = TypeVar("P")
Secrets = Mapping[str, Secret]
_NOTHING: Final = Nothing()
_ROOMY_STOP_S: Final = 50.0
"""Within the 60 s of an act, so that its answer comes in time."""


class Work:
    """The ops of a driver, in whichever process they run."""

    def __init__(self, driver: GuestDriver, clock: Clock, *, datastore: str) -> None:
        """Work with this driver."""
        self._driver = driver
        self._clock = clock
        self._datastore = datastore
        self._note = RestoreNote(driver.host.data.outside.parent / "agent")

    def query(self, op: str, args: bytes) -> msgspec.Struct:
        """Answer one of the driver's queries.

        Raises:
            OpFailed: there is no answer; `unsupported` for an op that is not known here.
        """
        return _look_up(_QUERIES, op)(self, args)

    def act(self, op: str, args: bytes, secrets: Secrets) -> msgspec.Struct:
        """Carry out one of the driver's acts; raises OpFailed as `query` does."""
        return _look_up(_ACTS, op)(self, args, secrets)

    def job(self, op: str, args: bytes, secrets: Secrets, job: Job) -> msgspec.Struct:
        """Carry out one of the driver's jobs; raises OpFailed as `query` does."""
        return _look_up(_JOBS, op)(self, args, secrets, job)

    def abandon(self, op: str, args: bytes) -> None:
        """See `muniment_guest.duties.Duties`."""
        if op == ops.BACKUP_CREATE.name:
            abandon_backup(decode_args(args, ops.CreateBackup), self._clock)

    # the driver as what an op needs it to be

    def _databases(self) -> DatabasesDriver:
        if isinstance(self._driver, DatabasesDriver):
            return self._driver
        raise self._lacks(Capability.DATABASES)

    def _users(self) -> UsersDriver:
        if isinstance(self._driver, UsersDriver):
            return self._driver
        raise self._lacks(Capability.USERS)

    def _superuser(self) -> SuperuserDriver:
        if isinstance(self._driver, SuperuserDriver):
            return self._driver
        raise self._lacks(Capability.SUPERUSER)

    def _backups(self) -> Backups:
        if isinstance(self._driver, Backups):
            return self._driver
        raise self._lacks(Capability.BACKUP_FULL)

    def _restores(self) -> Restores:
        if isinstance(self._driver, Restores):
            return self._driver
        raise self._lacks(Capability.RESTORE)

    def _lacks(self, capability: Capability) -> OpFailed:
        return OpFailed(
            Code.UNSUPPORTED, f"the driver of {self._datastore} lacks the capability {capability}"
        )

    # queries

    def _health_probe(self, args: bytes) -> msgspec.Struct:
        return self._driver.probe()

    def _db_list(self, args: bytes) -> msgspec.Struct:
        return self._databases().list_databases(decode_args(args, ops.Page))

    def _user_list(self, args: bytes) -> msgspec.Struct:
        return self._users().list_users(decode_args(args, ops.Page))

    def _user_get(self, args: bytes) -> msgspec.Struct:
        return self._users().get_user(decode_args(args, ops.GetUser).account)

    def _superuser_status(self, args: bytes) -> msgspec.Struct:
        return self._superuser().superuser_status()

    # acts

    def _server_start(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        self._note.remove()
        return self._driver.start()

    def _server_stop(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        return self._driver.stop(min(decode_args(args, ops.StopServer).grace_s, _ROOMY_STOP_S))

    def _server_restart(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        self._server_stop(args, secrets)
        return self._server_start(args, secrets)

    def _db_create(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        self._databases().create_database(decode_args(args, ops.DatabaseSpec))
        return _NOTHING

    def _db_drop(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        self._databases().drop_database(decode_args(args, ops.DropDatabase).name)
        return _NOTHING

    def _user_create(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        user = decode_args(args, ops.UserSpec)
        self._users().create_user(user, _needed(secrets, "password"))
        return _NOTHING

    def _user_alter(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        change = decode_args(args, ops.AlterUser)
        self._users().alter_user(change, secrets.get("password"))
        return _NOTHING

    def _user_drop(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        self._users().drop_user(decode_args(args, ops.DropUser).account)
        return _NOTHING

    def _grant_put(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        grant = decode_args(args, ops.Grant)
        self._users().grant(grant.account, grant.databases)
        return _NOTHING

    def _grant_remove(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        grant = decode_args(args, ops.GrantRemove)
        self._users().revoke(grant.account, grant.database)
        return _NOTHING

    def _superuser_enable(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        return self._superuser().enable_superuser(_needed(secrets, "password"))

    def _superuser_disable(self, args: bytes, secrets: Secrets) -> msgspec.Struct:
        return self._superuser().disable_superuser()

    # jobs

    def _server_install(self, args: bytes, secrets: Secrets, job: Job) -> msgspec.Struct:
        return self._driver.install(decode_args(args, ops.Install), job)

    def _server_bootstrap(self, args: bytes, secrets: Secrets, job: Job) -> msgspec.Struct:
        wanted = decode_args(args, ops.Bootstrap)
        # From here on the engine may write: what was restored is a database now.
        self._note.remove()
        return ops.BootstrapResult(health=self._driver.bootstrap(wanted, job))

    def _backup_create(self, args: bytes, secrets: Secrets, job: Job) -> msgspec.Struct:
        return take_backup(
            self._backups(),
            decode_args(args, ops.CreateBackup),
            _needed(secrets, "data_key"),
            job,
            self._clock,
            instance_id=self._driver.host.instance_id,
            datastore=self._datastore,
        )

    def _restore_apply(self, args: bytes, secrets: Secrets, job: Job) -> msgspec.Struct:
        restoration = Restoration(
            self._restores(),
            self._driver.host.data.outside,
            self._note,
            self._clock,
            datastore=self._datastore,
            engine_runs=self._driver.host.runtime.server().running,
        )
        return restoration.apply(decode_args(args, ops.RestoreBackup), _needed(secrets, "data_key"), job)


def decode_args(args: bytes, kind: type[A]) -> A:
    """An op's arguments, strictly.

    Raises:
        OpFailed: `invalid_argument`.
    """
    try:
        return msgspec.json.decode(args, type=kind)
    except msgspec.MsgspecError as error:
        raise OpFailed(Code.INVALID_ARGUMENT, f"the arguments cannot be read: {error}") from error


def _look_up(table: Mapping[str, P], op: str) -> P:
    if op not in table:
        raise OpFailed(Code.UNSUPPORTED, f"this agent does not know the op {op}")
    return table[op]


def _needed(secrets: Secrets, name: str) -> Secret:
    if name not in secrets:
        raise OpFailed(Code.INVALID_ARGUMENT, f"the command came without the secret {name}")
    return secrets[name]


_Query = Callable[[Work, bytes], msgspec.Struct]
_Act = Callable[[Work, bytes, Secrets], msgspec.Struct]
_Job = Callable[[Work, bytes, Secrets, Job], msgspec.Struct]


_QUERIES: Final[Mapping[str, _Query]] = {
    ops.HEALTH_PROBE.name: Work._health_probe,
    ops.DB_LIST.name: Work._db_list,
    ops.USER_LIST.name: Work._user_list,
    ops.USER_GET.name: Work._user_get,
    ops.SUPERUSER_STATUS.name: Work._superuser_status,
}
_ACTS: Final[Mapping[str, _Act]] = {
    ops.SERVER_START.name: Work._server_start,
    ops.SERVER_STOP.name: Work._server_stop,
    ops.SERVER_RESTART.name: Work._server_restart,
    ops.DB_CREATE.name: Work._db_create,
    ops.DB_DROP.name: Work._db_drop,
    ops.USER_CREATE.name: Work._user_create,
    ops.USER_ALTER.name: Work._user_alter,
    ops.USER_DROP.name: Work._user_drop,
    ops.GRANT_PUT.name: Work._grant_put,
    ops.GRANT_REMOVE.name: Work._grant_remove,
    ops.SUPERUSER_ENABLE.name: Work._superuser_enable,
    ops.SUPERUSER_DISABLE.name: Work._superuser_disable,
}
_JOBS: Final[Mapping[str, _Job]] = {
    ops.SERVER_INSTALL.name: Work._server_install,
    ops.SERVER_BOOTSTRAP.name: Work._server_bootstrap,
    ops.BACKUP_CREATE.name: Work._backup_create,
    ops.RESTORE_APPLY.name: Work._restore_apply,
}
DRIVER_OPS: Final = frozenset({*_QUERIES, *_ACTS, *_JOBS})
"""Ops that a driver carries out; the others of the contract are the agent's own."""
