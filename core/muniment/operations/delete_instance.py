"""Deleting an instance: every resource is confirmed gone, however long that takes.

It sends the guest no `agent.shutdown`. The end of the server ends agent, engine and jobs for certain, on this machine and
in a cloud; it alone is the fence. A guest that is asked first may be the very reason for the deletion, and its data go
with the volume in any case, so a clean stop would buy nothing for the wait.
"""

from typing import Final

from muniment.dispatch.guest_keys import forget_guest
from muniment.domain.instance import InstanceDeleted
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.domain.resources import Role
from muniment.operations.cloud_steps import Remove
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Ending, Endings, Failure, Step
from muniment.store.writes import ReleaseSubject

__all__ = ["DELETE_INSTANCE"]

_NO_WAY_BACK: Final = NONE("a deletion has no way back")


def _deleted(scene: Scene) -> Ending:
    instance = scene.instance
    return Ending(
        [InstanceDeleted(originator_id=instance.id, originator_version=0)],
        [ReleaseSubject(instance.id), *forget_guest(instance.id)],
    )


def _failed(scene: Scene, failure: Failure) -> Ending:
    raise AssertionError("a removal never gives up, and a deletion is not cancelled")


DELETE_INSTANCE: Final = Definition(
    kind="delete_instance.1",
    wants="delete the instance",
    occupies={SubjectKind.INSTANCE: Hold.EXCLUSIVE},
    is_cancellable=False,
    steps=(
        Step(
            "remove_server",
            Remove(Role.SERVER),
            undo=_NO_WAY_BACK,
            complaint="the server could not be removed",
        ),
        Step(
            "remove_port",
            Remove(Role.PORT),
            undo=_NO_WAY_BACK,
            after=("remove_server",),
            complaint="the network port could not be removed",
        ),
        Step(
            "remove_volume",
            Remove(Role.VOLUME),
            undo=_NO_WAY_BACK,
            after=("remove_server",),
            complaint="the volume could not be removed",
        ),
    ),
    ends=Endings(succeeded=_deleted, failed=_failed),
)
