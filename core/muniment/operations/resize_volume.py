"""Making the data volume of an instance larger, while it is in use."""

from collections.abc import Sequence
from typing import Final

from muniment.contract.messages import Health, VolumeFacts
from muniment.contract.ops import SERVER_START, VOLUME_GROW, GrowVolume, Nothing
from muniment.domain.arguments import ResizeVolumeArguments
from muniment.domain.event import Event
from muniment.domain.guest import health_reported
from muniment.domain.instance import VolumeGrown
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.faulted import faulted
from muniment.operations.guest_steps import Act
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Ending, Endings, Failure, Step
from muniment.operations.volume_steps import Extend
from muniment.store.writes import CommitReservation, ReleaseReservation

__all__ = ["RESIZE_VOLUME"]


def _size_gib(scene: Scene) -> int:
    assert isinstance(scene.arguments, ResizeVolumeArguments)
    return scene.arguments.volume_size_gib


def _grow(scene: Scene) -> GrowVolume:
    return GrowVolume(size_gib=_size_gib(scene))


def _grown(scene: Scene, facts: VolumeFacts) -> Sequence[Event]:
    return [VolumeGrown(originator_id=scene.instance.id, originator_version=0, size_bytes=facts.size_bytes)]


def _answers(scene: Scene, health: Health) -> Sequence[Event]:
    return health_reported(scene.instance, health.state, health.detail)


def _counted(scene: Scene) -> CommitReservation | ReleaseReservation:
    """By what the cloud has, however the operation ended: a volume that was extended stays so, and counts."""
    if scene.instance.volume_size_gib >= _size_gib(scene):
        return CommitReservation(scene.operation_id)
    return ReleaseReservation(scene.operation_id)


def _succeeded(scene: Scene) -> Ending:
    return Ending(writes=[_counted(scene)])


def _failed(scene: Scene, failure: Failure) -> Ending:
    return Ending(faulted(scene, failure).events, [_counted(scene)])


RESIZE_VOLUME: Final = Definition(
    kind="resize_volume.1",
    wants="resize the volume",
    occupies={SubjectKind.INSTANCE: Hold.EXCLUSIVE},
    steps=(
        Step(
            "extend_volume",
            Extend(_size_gib),
            undo=NONE("a volume does not shrink"),
            complaint="the volume could not be extended",
        ),
        Step(
            "grow_filesystem",
            Act(VOLUME_GROW, _grow, facts=_grown),
            undo=NONE("a filesystem does not shrink"),
            after=("extend_volume",),
            complaint="the volume is larger, but its filesystem does not fill it; ask for a larger size once more",
        ),
        Step(
            # An engine that stopped for want of space does not come back by itself; one that runs stays as it is.
            "start_server",
            Act(SERVER_START, lambda scene: Nothing(), facts=_answers),
            undo=NONE("a start takes nothing away"),
            after=("grow_filesystem",),
            complaint="the volume is larger, but the database did not start",
        ),
    ),
    ends=Endings(succeeded=_succeeded, failed=_failed),
)
