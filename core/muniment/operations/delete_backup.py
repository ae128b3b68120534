"""Deleting a backup: every object is confirmed gone, then its data key is destroyed."""

from typing import Final

from muniment.domain.backup import BackupDeleted
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.backup_keys import BACKUP_KEY
from muniment.operations.object_steps import RemoveObjects
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Ending, Endings, Failure, Step
from muniment.store.writes import DeleteKey, ReleaseSubject

__all__ = ["DELETE_BACKUP"]


def _deleted(scene: Scene) -> Ending:
    backup = scene.backup
    return Ending(
        [BackupDeleted(originator_id=backup.id, originator_version=0)],
        [ReleaseSubject(backup.id), DeleteKey(BACKUP_KEY, str(backup.id))],
    )


def _failed(scene: Scene, failure: Failure) -> Ending:
    raise AssertionError("a removal never gives up, and a deletion is not cancelled")


DELETE_BACKUP: Final = Definition(
    kind="delete_backup.1",
    wants="delete the backup",
    occupies={SubjectKind.BACKUP: Hold.EXCLUSIVE},
    is_cancellable=False,
    steps=(
        Step(
            "remove_objects",
            RemoveObjects(),
            undo=NONE("a deletion has no way back"),
            complaint="the objects could not be removed",
        ),
    ),
    ends=Endings(succeeded=_deleted, failed=_failed),
)
