"""Operations with their live steps."""

from typing import Any
from uuid import UUID

from tests.support.logs import operation_history
from tests.support.shown import projected, shown
from tests.support.strategies import PROJECT

from muniment.domain import operation as o
from muniment.domain.event import Event
from muniment_projections.operations import Operations
from muniment_projections.row import View

ID = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c001")
INSTANCE = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")


def _seen(events: list[Event], view: View = View.DETAIL) -> Any:
    _, read_model = projected(*([event] for event in events))
    return shown(Operations(read_model).get(ID, project_id=PROJECT, view=view))


def _steps(operation: Any) -> list[tuple[str, str, float | None, int]]:
    return [(s["name"], s["status"], s["duration_s"], s["failures"]) for s in operation["steps"]]


def test_an_operation_that_has_ended() -> None:
    """What it was, whose, and how long it and its steps took, in the order of their definition."""
    seen = _seen(operation_history(ID, INSTANCE))

    assert (
        seen
        | {
            "id": str(ID),
            "kind": "create_instance",
            "status": "succeeded",
            "instance_id": str(INSTANCE),
            "backup_id": None,
            "project_id": PROJECT,
            "request_id": "req-1",
            "started_at": "2026-01-01T00:00:01.000000Z",
            "ended_at": "2026-01-01T00:00:10.000000Z",
            "duration_s": 9.0,
            "is_cancelled": False,
            "message": None,
        }
        == seen
    )
    assert _steps(seen) == [
        ("ensure_volume", "succeeded", 1.0, 0),
        ("ensure_server", "succeeded", 3.0, 1),
        ("bootstrap", "succeeded", 1.0, 0),
    ]


def test_live_steps() -> None:
    """While it runs: what is done, what runs since when, what waits for another try, what has not begun."""
    history = operation_history(ID, INSTANCE)

    running, retrying = _seen(history[:4]), _seen(history[:5])

    assert running["status"] == "running"
    assert running["ended_at"] is None
    assert _steps(running) == [
        ("ensure_volume", "succeeded", 1.0, 0),
        ("ensure_server", "running", None, 0),
        ("bootstrap", "waiting", None, 0),
    ]
    assert running["steps"][1]["started_at"] == "2026-01-01T00:00:04.000000Z"
    assert _steps(retrying)[1] == ("ensure_server", "retrying", None, 1)


def test_errors_are_for_administrators() -> None:
    """What a cloud or guest answered may say more than an owner should know."""
    history = operation_history(ID, INSTANCE)[:5]

    owner, admin = _seen(history), _seen(history, View.ADMIN_DETAIL)

    assert "error" not in owner["steps"][1]
    assert admin["steps"][1]["error"] == "cloud said no"
    assert (admin["actor"], admin["version"]) == ("user:keeper", "1")


def test_an_operation_that_turns_round() -> None:
    """Unwinding shows as such, and each step whose undo runs or is done."""
    common: dict[str, Any] = {"originator_id": ID}
    history = [
        *operation_history(ID, INSTANCE)[:5],
        o.UnwindingStarted(**common, originator_version=6, reason="no room"),
        o.UndoIntended(**common, originator_version=7, step="ensure_server"),
        o.Undone(**common, originator_version=8, step="ensure_server"),
        o.UndoIntended(**common, originator_version=9, step="ensure_volume"),
    ]

    seen = _seen(history)

    assert seen["status"] == "unwinding"
    assert [s["status"] for s in seen["steps"]] == ["undoing", "undone", "not_run"]


def test_operations_that_run() -> None:
    """The list can be narrowed to an instance and to what has not ended."""
    second = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c002")
    _, read_model = projected(
        operation_history(ID, INSTANCE), operation_history(second, INSTANCE, "restart_instance.1")[:2]
    )
    operations = Operations(read_model)

    def ids(**facets: str) -> list[str]:
        page = operations.page(project_id=PROJECT, view=View.SUMMARY, facets=facets)
        return [shown(document)["id"] for document in page.documents]

    assert ids(instance_id=str(INSTANCE)) == [str(second), str(ID)]
    assert ids(has_ended="no") == [str(second)]
