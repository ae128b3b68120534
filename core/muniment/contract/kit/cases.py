"""Every op that changes something, in a form that the rules of the protocol can try on any driver.

A case says how to come to the state before, what to send, how to see that it was done, and what undoes it. A new op joins
the contract with a case of its own; one without is found by the kit's own test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid5

import msgspec

from muniment.contract import ops
from muniment.contract.backup import MANIFEST_NAME, StoreRef
from muniment.contract.kit.instance import Instance
from muniment.contract.messages import HealthState
from muniment.contract.ops import Account, DatabaseSpec, Op
from muniment.secret import Secret

__all__ = ["CASES", "Case", "backup_of", "case_named"]

DATABASE = "kit_case"
ACCOUNT = Account(name="kit_user")
RENAMED = Account(name="kit_renamed")
PASSWORD = {"password": Secret("kit pass'word")}
DATA_KEY = {"data_key": Secret(bytes(range(32)))}

Check = Callable[[Instance], bool]
Act = Callable[[Instance], None]
AnyOp = Op[msgspec.Struct, msgspec.Struct]


@dataclass(frozen=True)
class Case:
    """One op to try."""

    op: AnyOp
    args: Callable[[Instance], msgspec.Struct]
    given: Act
    """From whatever an earlier try left to the state before."""
    is_done: Check
    undo: Act | None = None
    """To a state in which `is_done` says no; none where there is no such op."""
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    comes_first: bool = False
    """Whether it is an op that makes a server answer for the first time, and so is crashed where nothing is yet."""

    def __str__(self) -> str:
        return self.op.name


def backup_of(instance: Instance, name: str = "backup") -> ops.CreateBackup:
    """The arguments of backup.create, into a directory beside the server."""
    return ops.CreateBackup(
        backup_id=uuid5(instance.bench.instance_id, name),
        target=_store(instance, name),
        key_id="kit",
        wrapped_key=b"kit",
    )


def case_named(name: str) -> Case:
    """The case of an op."""
    return next(case for case in CASES if case.op.name == name)


# databases and users


def _databases(*, there: bool) -> Act:
    def given(instance: Instance) -> None:
        if there:
            instance.do(ops.DB_CREATE, DatabaseSpec(name=DATABASE))
        else:
            instance.do(ops.DB_DROP, ops.DropDatabase(name=DATABASE))

    return given


def _users(*, there: bool, granted: bool = False) -> Act:
    def given(instance: Instance) -> None:
        _databases(there=True)(instance)
        for account in (ACCOUNT, RENAMED):
            instance.do(ops.USER_DROP, ops.DropUser(account=account))
        if there:
            databases = (DATABASE,) if granted else ()
            instance.do(ops.USER_CREATE, ops.UserSpec(account=ACCOUNT, databases=databases), PASSWORD)

    return given


def _database_is(*, there: bool) -> Check:
    return lambda instance: (DATABASE in instance.database_names()) is there


def _user_is(account: Account, *, there: bool) -> Check:
    return lambda instance: instance.has_user(account) is there


def _granted_is(*, there: bool) -> Check:
    def check(instance: Instance) -> bool:
        view = instance.do(ops.USER_GET, ops.GetUser(account=ACCOUNT))
        return (DATABASE in view.databases) is there

    return check


def _rename(instance: Instance) -> ops.AlterUser:
    return ops.AlterUser(account=ACCOUNT, new_name=RENAMED.name)


def _rename_back(instance: Instance) -> None:
    instance.do(ops.USER_ALTER, ops.AlterUser(account=RENAMED, new_name=ACCOUNT.name))


# superuser


def _superuser(*, enabled: bool) -> Act:
    def given(instance: Instance) -> None:
        if enabled:
            instance.do(ops.SUPERUSER_ENABLE, ops.Nothing(), PASSWORD)
        else:
            instance.do(ops.SUPERUSER_DISABLE, ops.Nothing())

    return given


def _superuser_is(*, enabled: bool) -> Check:
    return lambda instance: instance.do(ops.SUPERUSER_STATUS, ops.Nothing()).enabled is enabled


# the server


def _server(*, running: bool) -> Act:
    def given(instance: Instance) -> None:
        if running:
            instance.do(ops.SERVER_START, ops.Nothing())
        else:
            instance.do(ops.SERVER_STOP, ops.StopServer(grace_s=20))

    return given


def _prepared_and_stopped(instance: Instance) -> None:
    instance.prepare()
    _server(running=False)(instance)


def _state_is(state: HealthState) -> Check:
    return lambda instance: instance.health().state is state


def _nothing(instance: Instance) -> None:
    """The state before is the state there is."""


def _volume_is_there(instance: Instance) -> bool:
    return instance.call(ops.VOLUME_STATS, ops.Nothing()).ok


def _is_healthy(instance: Instance) -> bool:
    return instance.is_healthy()


# backups


def _store(instance: Instance, name: str) -> StoreRef:
    return StoreRef(kind="file", location=str(_place(instance, name)), until_s=4e9)


def _place(instance: Instance, name: str) -> Path:
    return instance.bench.folder / name


def _no_backup(instance: Instance) -> None:
    place = _place(instance, "backup")
    for file in list(place.iterdir()) if place.exists() else ():
        file.unlink()


def _backup_is_there(instance: Instance) -> bool:
    return (_place(instance, "backup") / MANIFEST_NAME).exists()


def _case(
    op: Op[msgspec.Struct, msgspec.Struct] | object,
    args: Callable[[Instance], msgspec.Struct] | msgspec.Struct,
    **fields: object,
) -> Case:
    make = (lambda instance: args) if isinstance(args, msgspec.Struct) else args
    return Case(op=op, args=make, **fields)  # type: ignore[arg-type]  # an Op of any parameters


CASES: tuple[Case, ...] = (
    _case(ops.VOLUME_PREPARE, Instance.volume, given=_nothing, is_done=_volume_is_there, comes_first=True),
    _case(
        ops.VOLUME_GROW,
        lambda instance: ops.GrowVolume(size_gib=instance.volume().size_gib),
        given=lambda instance: instance.do(ops.VOLUME_PREPARE, instance.volume()),
        is_done=_volume_is_there,
        comes_first=True,
    ),
    _case(
        ops.SERVER_INSTALL,
        Instance.install,
        given=lambda instance: instance.do(ops.VOLUME_PREPARE, instance.volume()),
        is_done=lambda instance: True,
        comes_first=True,
    ),
    _case(
        ops.SERVER_BOOTSTRAP,
        Instance.bootstrap,
        given=_prepared_and_stopped,
        is_done=_is_healthy,
        undo=_server(running=False),
        comes_first=True,
    ),
    _case(
        ops.SERVER_START,
        ops.Nothing(),
        given=_server(running=False),
        is_done=_is_healthy,
        undo=_server(running=False),
    ),
    _case(
        ops.SERVER_STOP,
        ops.StopServer(grace_s=20),
        given=_server(running=True),
        is_done=_state_is(HealthState.STOPPED),
        undo=_server(running=True),
    ),
    _case(
        ops.SERVER_RESTART,
        ops.StopServer(grace_s=20),
        given=_server(running=True),
        is_done=_is_healthy,
        undo=_server(running=False),
    ),
    _case(
        ops.AGENT_SHUTDOWN,
        ops.Nothing(),
        given=Instance.come_back,
        is_done=lambda instance: not instance.is_healthy(),
        undo=Instance.come_back,
    ),
    _case(
        ops.DB_CREATE,
        DatabaseSpec(name=DATABASE),
        given=_databases(there=False),
        is_done=_database_is(there=True),
        undo=_databases(there=False),
    ),
    _case(
        ops.DB_DROP,
        ops.DropDatabase(name=DATABASE),
        given=_databases(there=True),
        is_done=_database_is(there=False),
        undo=_databases(there=True),
    ),
    _case(
        ops.USER_CREATE,
        ops.UserSpec(account=ACCOUNT, databases=(DATABASE,)),
        given=_users(there=False),
        is_done=lambda instance: (
            _user_is(ACCOUNT, there=True)(instance) and _granted_is(there=True)(instance)
        ),
        undo=_users(there=False),
        secrets=PASSWORD,
    ),
    _case(
        ops.USER_ALTER,
        _rename,
        given=_users(there=True),
        is_done=lambda instance: (
            _user_is(RENAMED, there=True)(instance) and _user_is(ACCOUNT, there=False)(instance)
        ),
        undo=_rename_back,
        secrets=PASSWORD,
    ),
    _case(
        ops.USER_DROP,
        ops.DropUser(account=ACCOUNT),
        given=_users(there=True, granted=True),
        is_done=_user_is(ACCOUNT, there=False),
        undo=_users(there=True),
    ),
    _case(
        ops.GRANT_PUT,
        ops.Grant(account=ACCOUNT, databases=(DATABASE,)),
        given=_users(there=True),
        is_done=_granted_is(there=True),
        undo=_users(there=True),
    ),
    _case(
        ops.GRANT_REMOVE,
        ops.GrantRemove(account=ACCOUNT, database=DATABASE),
        given=_users(there=True, granted=True),
        is_done=_granted_is(there=False),
        undo=_users(there=True, granted=True),
    ),
    _case(
        ops.SUPERUSER_ENABLE,
        ops.Nothing(),
        given=_superuser(enabled=False),
        is_done=_superuser_is(enabled=True),
        undo=_superuser(enabled=False),
        secrets=PASSWORD,
    ),
    _case(
        ops.SUPERUSER_DISABLE,
        ops.Nothing(),
        given=_superuser(enabled=True),
        is_done=_superuser_is(enabled=False),
        undo=_superuser(enabled=True),
    ),
    _case(
        ops.BACKUP_CREATE,
        backup_of,
        given=_no_backup,
        is_done=_backup_is_there,
        undo=_no_backup,
        secrets=DATA_KEY,
    ),
)
"""All but restore.apply, which needs a second instance and has its own rules in `rules/backups.py`."""
