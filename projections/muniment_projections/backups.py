"""Backups, as Trove shows them."""

from collections.abc import Sequence
from uuid import UUID

from muniment.domain.backup import BACKUP, Backup, BackupRequested, BackupStatus
from muniment_projections.collection import Collection
from muniment_projections.documents import encode, gigabytes, timestamp
from muniment_projections.projection import Projection
from muniment_projections.read_model import ReadModel
from muniment_projections.row import Row, RowTable, View, microseconds

__all__ = ["TABLE", "BackupProjection", "Backups"]

TABLE = RowTable(name="backups", views=(View.DETAIL, View.ADMIN_DETAIL), facets=("instance_id", "datastore"))


class BackupProjection(Projection[Backup]):
    """One row for each backup that is not deleted, also after its instance is."""

    KIND = "backup"
    FORM = 4
    TABLES = (TABLE,)
    BIRTHS = (BackupRequested,)
    aggregate = BACKUP
    state_type = Backup

    def rows(self, state: Backup) -> Sequence[Row]:
        """The backup, until it is deleted."""
        if self.is_over(state):
            return ()
        return (
            Row(
                table=TABLE.name,
                key=str(state.id),
                project_id=state.project_id,
                created_us=microseconds(state.created_at),
                facets={"instance_id": str(state.instance_id), "datastore": state.datastore.datastore},
                documents={
                    View.DETAIL: encode(_document(state)),
                    View.ADMIN_DETAIL: encode(_document(state) | _admin_members(state)),
                },
            ),
        )

    def instance_of(self, state: Backup) -> UUID | None:
        """The instance that it was taken of."""
        return state.instance_id

    def is_over(self, state: Backup) -> bool:
        """Nothing follows the deletion."""
        return state.status is BackupStatus.DELETED


class Backups(Collection):
    """The backups of a project, or of all; facets `instance_id` and `datastore` (its name)."""

    def __init__(self, read_model: ReadModel) -> None:
        """Read from `read_model`."""
        super().__init__(read_model, TABLE)


def _status(s: Backup) -> BackupStatus:
    """In Trove's words, which have none for a deletion under way: until it is gone a backup is what it was."""
    if s.status is not BackupStatus.DELETING:
        return s.status
    return BackupStatus.FAILED if s.completed is None else BackupStatus.COMPLETED


def _document(s: Backup) -> dict[str, object]:
    done = s.completed
    # Ours: Trove's backups do not say why they failed, nor that they are being deleted.
    reason = {"message": s.message} if s.message else {}
    leaving = {"is_deleting": True} if s.status is BackupStatus.DELETING else {}
    return (
        reason
        | leaving
        | {
            "id": s.id,
            "name": s.name,
            "description": s.description,
            # Where it really lies is the operator's business: a path of the server.
            "locationRef": None if done is None else f"file:{s.id}",
            "instance_id": s.instance_id,
            "created": timestamp(s.created_at),
            "updated": timestamp(s.updated_at),
            "size": None if done is None else gigabytes(done.plain_bytes),
            "status": _status(s).value,
            "parent_id": s.parent_id,
            "project_id": s.project_id,
            "datastore": {
                "type": s.datastore.datastore,
                "version": s.datastore.name,
                "version_id": s.datastore.version_id,
            },
        }
    )


def _admin_members(s: Backup) -> dict[str, object]:
    return {"locationRef": None if s.completed is None else s.completed.location}
