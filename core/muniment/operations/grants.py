"""Grants of accounts of a running instance on its databases: put, and removed."""

from collections.abc import Sequence
from typing import Final

from muniment.contract.ops import GRANT_PUT, GRANT_REMOVE, Account, Grant, GrantRemove, Nothing
from muniment.domain.arguments import GrantArguments, RevokeArguments
from muniment.domain.event import Event
from muniment.domain.instance import GrantPut, GrantRemoved
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.faulted import RUNNING_INSTANCE
from muniment.operations.guest_steps import Act
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Step

__all__ = ["GRANT", "REVOKE"]


def _granted(scene: Scene) -> GrantArguments:
    assert isinstance(scene.arguments, GrantArguments)
    return scene.arguments


def _grant(scene: Scene) -> Grant:
    wanted = _granted(scene)
    return Grant(account=Account(name=wanted.name, host=wanted.host), databases=wanted.databases)


def _put(scene: Scene, result: Nothing) -> Sequence[Event]:
    wanted = _granted(scene)
    return [
        GrantPut(
            originator_id=scene.instance.id,
            originator_version=0,
            name=wanted.name,
            host=wanted.host,
            databases=wanted.databases,
        )
    ]


def _revoked(scene: Scene) -> RevokeArguments:
    assert isinstance(scene.arguments, RevokeArguments)
    return scene.arguments


def _revoke(scene: Scene) -> GrantRemove:
    wanted = _revoked(scene)
    return GrantRemove(account=Account(name=wanted.name, host=wanted.host), database=wanted.database)


def _removed(scene: Scene, result: Nothing) -> Sequence[Event]:
    wanted = _revoked(scene)
    return [
        GrantRemoved(
            originator_id=scene.instance.id,
            originator_version=0,
            name=wanted.name,
            host=wanted.host,
            database=wanted.database,
        )
    ]


GRANT: Final = Definition(
    kind="grant.1",
    wants="put the grant",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Step(
            "put_grant",
            Act(GRANT_PUT, _grant, facts=_put),
            undo=NONE("the user may have had part of the grant before"),
            complaint="the grant could not be put",
        ),
    ),
    ends=RUNNING_INSTANCE,
)

REVOKE: Final = Definition(
    kind="revoke.1",
    wants="remove the grant",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Step(
            "remove_grant",
            Act(GRANT_REMOVE, _revoke, facts=_removed),
            undo=NONE("nobody knows whether there was a grant before"),
            complaint="the grant could not be removed",
        ),
    ),
    ends=RUNNING_INSTANCE,
)
