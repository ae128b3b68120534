"""`muniment operation`: what it asks the service, what it prints, and how it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from muniment_cli import operation_view
from muniment_cli.commands import operation
from muniment_cli.failure import BAD_INPUT, Failure
from muniment_cli.rest import Rest

_STEP = {"name": "ensure_volume", "status": "running", "duration_s": None, "message": None, "failures": 0}
_RUNNING = {
    "id": "o-1",
    "kind": "create_instance",
    "status": "running",
    "instance_id": "i-1",
    "backup_id": None,
    "is_cancelled": False,
    "started_at": "2026-01-01T00:00:00Z",
    "ended_at": None,
    "duration_s": None,
    "message": None,
    "steps": [_STEP],
}
_INSTANCE = {"id": "i-1", "name": "shop"}


def _ended(status: str, message: str | None = None) -> dict[str, Any]:
    return {
        **_RUNNING,
        "status": status,
        "ended_at": "2026-01-01T00:00:02Z",
        "duration_s": 2.0,
        "message": message,
    }


class Service:
    """What the commands are told, and what they asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.shown: list[dict[str, Any]] = [_RUNNING]
        """Answers to looks at the operation, one after the other; the last one stays."""
        self.refusal: httpx.Response | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        path = request.url.path.removeprefix("/P")
        self.asked.append(f"{request.method} {request.url.raw_path.decode().removeprefix('/P')}")
        if self.refusal is not None:
            return self.refusal
        if path == "/instances":
            return httpx.Response(200, json={"instances": [_INSTANCE]})
        if path == "/instances/i-1":
            return httpx.Response(200, json={"instance": _INSTANCE})
        if path == "/operations":
            return httpx.Response(200, json={"operations": [_RUNNING] * 100})
        if request.method == "POST":
            return httpx.Response(202, json={"operation": _RUNNING})
        looked = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        return httpx.Response(200, json={"operation": looked})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """One that the command logs in to; nobody waits between looks."""
    made = Service()

    @contextmanager
    def logged_in(cloud: str | None) -> Iterator[Rest]:
        yield Rest(httpx.Client(transport=httpx.MockTransport(made.answer)), "http://h/P", "token")

    monkeypatch.setattr(operation, "logged_in", logged_in)
    monkeypatch.setattr(operation_view, "_LOOK_S", 0.0)
    return made


def test_a_list_is_narrowed_by_the_service(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """The instance may be named; no more is read and printed than was asked for."""
    operation.list_(instance="shop", running=True, limit=3, output="json")
    assert service.asked[-1] == "GET /operations?limit=100&instance_id=i-1&state=running"
    assert json.loads(capsys.readouterr().out) == [_RUNNING] * 3


def test_an_operation_is_shown_with_its_steps(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a field, then a line a step."""
    operation.show("o-1")
    told = capsys.readouterr().out
    fields, _, steps = told.partition("\n\n")
    assert "create_instance" in fields
    assert "ensure_volume" not in fields
    assert "ensure_volume  running" in steps


def test_a_watched_operation_that_fails_is_a_failure(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is printed all the same, and the message for its owner is the last word."""
    service.shown = [_RUNNING, _RUNNING, _ended("failed", "no room")]
    with pytest.raises(Failure, match="no room"):
        operation.show("o-1", wait=True, output="json")
    assert json.loads(capsys.readouterr().out)["status"] == "failed"


def test_a_cancel_returns_at_once(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--wait` it prints the operation as it still is, and beside it that it will be stopped and how to watch."""
    operation.cancel("o-1", output="json")
    assert service.asked == ["POST /operations/o-1/cancel"]
    printed = capsys.readouterr()
    assert json.loads(printed.out) == _RUNNING
    assert printed.err == "note: it is asked to stop; see it end with muniment operation show o-1 --wait\n"


def test_a_cancel_that_is_waited_for_succeeds_when_the_operation_fails(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is what was asked for."""
    service.shown = [_RUNNING, _ended("failed", "could not create the instance: it was cancelled")]
    operation.cancel("o-1", wait=True, output="json")
    assert json.loads(capsys.readouterr().out)["message"].endswith("it was cancelled")


def test_a_cancel_that_came_too_late_is_a_failure(service: Service) -> None:
    """What has succeeded has succeeded."""
    service.shown = [_ended("succeeded")]
    with pytest.raises(Failure, match="too late"):
        operation.cancel("o-1", wait=True)


def test_a_refused_cancel_is_what_the_service_said(service: Service) -> None:
    """One line, and the exit code of bad input."""
    service.refusal = httpx.Response(409, json={"conflict": {"message": "operation o-1 has ended already"}})
    with pytest.raises(Failure, match="has ended already") as refused:
        operation.cancel("o-1")
    assert refused.value.code == BAD_INPUT


def test_an_id_stays_one_part_of_the_path(service: Service) -> None:
    """Slashes and dots in what was typed lead nowhere else."""
    service.refusal = httpx.Response(404, json={"itemNotFound": {"message": "cannot be found"}})
    with pytest.raises(Failure, match="cannot be found"):
        operation.show("../backups/b-1")
    assert service.asked == ["GET /operations/..%2Fbackups%2Fb-1"]
