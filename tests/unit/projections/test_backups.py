"""Backups as Trove shows them."""

from uuid import UUID

from tests.support.logs import backup_history
from tests.support.shown import projected, shown
from tests.support.strategies import PROJECT, VERSION

from muniment.domain.backup import BackupDeletionRequested, BackupFailed
from muniment_projections.backups import Backups
from muniment_projections.row import View

ID = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c001")
INSTANCE = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")


def test_a_complete_backup() -> None:
    """It has exactly Trove's members; the size is that of the data."""
    _, read_model = projected(*([event] for event in backup_history(ID, INSTANCE)[:3]))

    assert shown(Backups(read_model).get(ID, project_id=PROJECT, view=View.DETAIL)) == {
        "id": str(ID),
        "name": "nightly",
        "description": None,
        "locationRef": f"file:{ID}",
        "instance_id": str(INSTANCE),
        "created": "2026-01-01T00:00:01",
        "updated": "2026-01-01T00:00:03",
        "size": 0.42,
        "status": "COMPLETED",
        "parent_id": None,
        "project_id": PROJECT,
        "datastore": {"type": "postgresql", "version": "18", "version_id": str(VERSION.version_id)},
    }


def test_only_administrators_see_where_a_backup_lies() -> None:
    """For its owner, the reference holds no more than the backup's id."""
    _, read_model = projected(*([event] for event in backup_history(ID, INSTANCE)[:3]))
    backups = Backups(read_model)

    owner = shown(backups.get(ID, project_id=PROJECT, view=View.DETAIL))
    administrator = shown(backups.get(ID, project_id=None, view=View.ADMIN_DETAIL))

    assert (owner["locationRef"], administrator["locationRef"]) == (f"file:{ID}", "file:store/1")
    assert administrator == owner | {"locationRef": "file:store/1"}


def test_a_backup_through_its_life() -> None:
    """Every status is there to be asked for, as of its position; after the deletion there is no backup."""
    _, read_model = projected(*([event] for event in backup_history(ID, INSTANCE)))
    backups = Backups(read_model)

    seen = [shown(backups.get(ID, project_id=PROJECT, view=View.DETAIL, as_of=n)) for n in range(1, 5)]

    assert [s["status"] for s in seen] == ["NEW", "BUILDING", "COMPLETED", "COMPLETED"]
    assert [s.get("is_deleting", False) for s in seen] == [False, False, False, True]
    assert [s["size"] for s in seen] == [None, None, 0.42, 0.42]
    assert backups.get(ID, project_id=PROJECT, view=View.DETAIL) is None


def test_a_failed_backup_has_a_reason_and_no_size() -> None:
    """It stays in the list, with what its owner may read of why, until they delete it."""
    begun = backup_history(ID, INSTANCE)[:2]
    failed = BackupFailed(originator_id=ID, originator_version=3, message="the disk is full")
    _, read_model = projected(begun, [failed])

    seen = shown(Backups(read_model).get(ID, project_id=PROJECT, view=View.DETAIL))

    assert (seen["status"], seen["size"], seen["locationRef"]) == ("FAILED", None, None)
    assert seen["message"] == "the disk is full"


def test_a_failed_backup_is_deleted() -> None:
    """While that lasts it is still a failed one, and says that it is leaving."""
    begun = backup_history(ID, INSTANCE)[:2]
    failed = BackupFailed(originator_id=ID, originator_version=3, message="the disk is full")
    leaving = BackupDeletionRequested(originator_id=ID, originator_version=4)
    _, read_model = projected(begun, [failed], [leaving])

    seen = shown(Backups(read_model).get(ID, project_id=PROJECT, view=View.DETAIL))

    assert (seen["status"], seen["is_deleting"]) == ("FAILED", True)


def test_backups_of_one_instance() -> None:
    """The list can be narrowed to an instance and to a datastore."""
    other = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e13")
    second = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c002")
    _, read_model = projected(backup_history(ID, INSTANCE)[:1], backup_history(second, other)[:1])
    backups = Backups(read_model)

    def ids(**facets: str) -> list[str]:
        page = backups.page(project_id=PROJECT, view=View.DETAIL, facets=facets)
        return [shown(document)["id"] for document in page.documents]

    assert ids(instance_id=str(INSTANCE)) == [str(ID)]
    assert ids(datastore="postgresql") == [str(second), str(ID)]
    assert ids(instance_id=str(INSTANCE), datastore="mysql") == []
