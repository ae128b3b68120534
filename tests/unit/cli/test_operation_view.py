"""Following an operation: lines as its steps end, and how it ends."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from muniment_cli import operation_view
from muniment_cli.failure import INTERRUPTED, Failure
from muniment_cli.operation_view import follow_operation
from muniment_cli.rest import Rest

_LOOK = "muniment instance show shop"


def _step(name: str, status: str) -> dict[str, Any]:
    return {"name": name, "status": status, "duration_s": 1.25, "message": None}


def _operation(status: str, *steps: dict[str, Any], message: str | None = None) -> dict[str, Any]:
    ended = status in ("succeeded", "failed")
    return {
        "kind": "create_instance",
        "status": status,
        "ended_at": "2026-01-01T00:00:00Z" if ended else None,
        "duration_s": 2.5,
        "message": message,
        "steps": list(steps),
    }


def _rest(*answers: list[dict[str, Any]]) -> Rest:
    left: Iterator[list[dict[str, Any]]] = iter(answers)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"operations": next(left)}))
    return Rest(httpx.Client(transport=transport), "http://h/v1.0/P", "token")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between looks."""
    monkeypatch.setattr(operation_view, "_LOOK_S", 0.0)


def test_each_step_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal, a step is a line when it is over, with its duration; the operation's own line is the last."""
    rest = _rest(
        [],
        [{**_operation("succeeded"), "kind": "delete_instance"}],
        [_operation("running", _step("a", "succeeded"), _step("b", "running"))],
        [_operation("running", _step("a", "succeeded"), _step("b", "running"))],
        [_operation("succeeded", _step("a", "succeeded"), _step("b", "succeeded"))],
    )
    assert (
        follow_operation(rest, "create_instance", limit_s=10, look=_LOOK, instance_id="i")["status"]
        == "succeeded"
    )
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "a: succeeded (1.2 s)",
        "b: succeeded (1.2 s)",
        "create_instance: succeeded (2.5 s)",
    ]


def test_a_failed_one_ends_with_its_message() -> None:
    """The message for the owner is what the command ends with."""
    rest = _rest([_operation("failed", message="the disk is full")])
    with pytest.raises(Failure, match="the disk is full"):
        follow_operation(rest, "create_instance", limit_s=10, look=_LOOK)


def test_a_slow_one_is_left_alone() -> None:
    """Past the limit the command ends and says that the operation goes on."""
    with pytest.raises(Failure, match=f"it goes on, look again with `{_LOOK}`"):
        follow_operation(_rest([_operation("running")]), "create_instance", limit_s=-1, look=_LOOK)


def test_ctrl_c_leaves_it_going(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt ends the watching, not the operation, and says so."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(operation_view.time, "sleep", interrupt)
    with pytest.raises(Failure, match=f"goes on by itself, look again with `{_LOOK}`") as caught:
        follow_operation(_rest([_operation("running")]), "create_instance", limit_s=10, look=_LOOK)
    assert caught.value.code == INTERRUPTED
