"""Creating, altering and dropping accounts of a running instance."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from muniment.contract.ops import (
    USER_ALTER,
    USER_CREATE,
    USER_DROP,
    Account,
    AlterUser,
    DropUser,
    Nothing,
    UserSpec,
)
from muniment.domain.accounts import WantedUser
from muniment.domain.arguments import AlterUserArguments, DropUserArguments, UsersArguments
from muniment.domain.event import Event
from muniment.domain.instance import UserAltered, UserCreated, UserDropped
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.faulted import RUNNING_INSTANCE
from muniment.operations.guest_steps import Act
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Each, Step

__all__ = ["ALTER_USER", "CREATE_USERS", "DROP_USER", "create_user"]


def create_user(undo: NONE) -> Callable[[WantedUser], Step]:
    """The step that creates one account; `undo` says why it is not undone."""

    def step(wanted: WantedUser) -> Step:
        def spec(scene: Scene) -> UserSpec:
            account = Account(name=wanted.name, host=wanted.host)
            return UserSpec(account=account, databases=wanted.databases)

        def created(scene: Scene, result: Nothing) -> Sequence[Event]:
            return [
                UserCreated(
                    originator_id=scene.instance.id,
                    originator_version=0,
                    name=wanted.name,
                    host=wanted.host,
                )
            ]

        return Step(
            "create_user",
            Act(USER_CREATE, spec, secrets=lambda scene: {"password": wanted.secret_ref}, facts=created),
            undo=undo,
            complaint="a user could not be created",
        )

    return step


def _wanted(scene: Scene) -> Sequence[WantedUser]:
    assert isinstance(scene.arguments, UsersArguments)
    return scene.arguments.users


def _changes(scene: Scene) -> AlterUserArguments:
    assert isinstance(scene.arguments, AlterUserArguments)
    return scene.arguments


def _alter(scene: Scene) -> AlterUser:
    wanted = _changes(scene)
    return AlterUser(
        account=Account(name=wanted.name, host=wanted.host),
        new_name=wanted.new_name,
        new_host=wanted.new_host,
    )


def _new_password(scene: Scene) -> Mapping[str, UUID]:
    ref = _changes(scene).secret_ref
    return {} if ref is None else {"password": ref}


def _altered(scene: Scene, result: Nothing) -> Sequence[Event]:
    wanted = _changes(scene)
    return [
        UserAltered(
            originator_id=scene.instance.id,
            originator_version=0,
            name=wanted.name,
            host=wanted.host,
            new_name=wanted.new_name,
            new_host=wanted.new_host,
            password_changed=wanted.secret_ref is not None,
        )
    ]


def _doomed(scene: Scene) -> DropUserArguments:
    assert isinstance(scene.arguments, DropUserArguments)
    return scene.arguments


def _drop(scene: Scene) -> DropUser:
    return DropUser(account=Account(name=_doomed(scene).name, host=_doomed(scene).host))


def _dropped(scene: Scene, result: Nothing) -> Sequence[Event]:
    gone = _doomed(scene)
    return [
        UserDropped(originator_id=scene.instance.id, originator_version=0, name=gone.name, host=gone.host)
    ]


CREATE_USERS: Final = Definition(
    kind="create_users.1",
    wants="create the users",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Each(
            "create_user",
            items=_wanted,
            step=create_user(NONE("a user that exists may be in use by now")),
        ),
    ),
    ends=RUNNING_INSTANCE,
)

ALTER_USER: Final = Definition(
    kind="alter_user.1",
    wants="change the user",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Step(
            "alter_user",
            Act(USER_ALTER, _alter, secrets=_new_password, facts=_altered),
            undo=NONE("the old password is nowhere"),
            complaint="the user could not be changed",
        ),
    ),
    ends=RUNNING_INSTANCE,
)

DROP_USER: Final = Definition(
    kind="drop_user.1",
    wants="drop the user",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Step(
            "drop_user",
            Act(USER_DROP, _drop, facts=_dropped),
            undo=NONE("what is dropped is gone"),
            complaint="the user could not be dropped",
        ),
    ),
    ends=RUNNING_INSTANCE,
)
