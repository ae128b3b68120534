"""An operation as it goes on: its steps with their durations, live on a terminal, a line a step otherwise."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from muniment_cli.failure import INTERRUPTED, Failure
from muniment_cli.output import console
from muniment_cli.rest import Rest

__all__ = ["follow_operation", "watch_operation"]

_LOOK_S = 0.15
_SUCCEEDED = "succeeded"
_AT_WORK = frozenset({"running", "undoing"})
_OVER = frozenset({"succeeded", "failed", "given_up", "undone"})

Step = Mapping[str, Any]


def follow_operation(
    rest: Rest, kind: str, *, limit_s: float, look: str, **facets: object
) -> Mapping[str, Any]:
    """Show the newest operation of an instance or backup, which is of this kind, until it ends; the operation.

    Whoever ends the watching early is told to `look` again: the command that shows how it went on.

    Raises:
        Failure: it failed, with the message for its owner, or has not ended in time.
    """
    operation = _to_its_end(lambda: _newest(rest, kind, facets), limit_s, look)
    if operation["status"] != _SUCCEEDED:
        raise Failure(operation["message"] or f"the operation ended as {operation['status']}")
    return operation


def watch_operation(rest: Rest, operation_id: str, *, limit_s: float, look: str) -> Mapping[str, Any]:
    """Show one operation until it ends, however that is; the operation.

    Raises:
        Failure: there is none, or it has not ended in time.
    """
    path = f"/operations/{quote(operation_id, safe='')}"
    return _to_its_end(lambda: rest.get(path)["operation"], limit_s, look)


def _to_its_end(seen: Callable[[], Mapping[str, Any] | None], limit_s: float, look: str) -> Mapping[str, Any]:
    """Watch what is `seen` of an operation, None while it is not there yet."""
    try:
        return _watched(seen, limit_s, look)
    except KeyboardInterrupt:
        raise Failure(
            f"no longer watched; the operation goes on by itself, look again with `{look}`", code=INTERRUPTED
        ) from None


def _watched(seen: Callable[[], Mapping[str, Any] | None], limit_s: float, look: str) -> Mapping[str, Any]:
    deadline_s = time.monotonic() + limit_s
    with _View() as view:
        while True:
            if (operation := seen()) is not None:
                view.show(operation)
                if operation["ended_at"] is not None:
                    return operation
            if time.monotonic() > deadline_s:
                raise Failure(f"it has not ended in {limit_s:.0f} s; it goes on, look again with `{look}`")
            time.sleep(_LOOK_S)


def _newest(rest: Rest, kind: str, facets: Mapping[str, object]) -> Mapping[str, Any] | None:
    """None while the newest is still the one before: what was asked for a moment ago may not be shown yet."""
    found = rest.get("/operations", limit=1, **facets)["operations"]
    return found[0] if found and found[0]["kind"] == kind else None


class _View:
    """Draws the steps anew on a terminal; elsewhere prints each step once, when it is over."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._live = Live(console=self._console, transient=False, refresh_per_second=8)
        self._told: set[str] = set()
        self._begun_s: dict[str, float] = {}
        """When a step was first seen at work, by this machine's clock: the service's may differ."""

    def __enter__(self) -> "_View":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, operation: Mapping[str, Any]) -> None:
        steps: Sequence[Step] = operation["steps"]
        if self._console.is_terminal:
            self._live.update(self._drawn(operation, steps), refresh=True)
            return
        for step in steps:
            if step["status"] in _OVER and step["name"] not in self._told:
                self._told.add(step["name"])
                self._console.print(f"{step['name']}: {step['status']} ({_seconds(step['duration_s'])})")
        if operation["ended_at"] is not None:
            self._console.print(
                f"{operation['kind']}: {operation['status']} ({_seconds(operation['duration_s'])})"
            )

    def _drawn(self, operation: Mapping[str, Any], steps: Sequence[Step]) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(width=2)
        table.add_column()
        table.add_column(justify="right")
        table.add_column(style="dim")
        for step in steps:
            table.add_row(
                _mark(step["status"]), step["name"], _seconds(self._lasts_s(step)), step["message"] or ""
            )
        head = f"{operation['kind']}: {operation['status']}  {_seconds(operation['duration_s'])}"
        return Group(Text(head, style="bold"), table)

    def _lasts_s(self, step: Step) -> float | None:
        if step["status"] not in _AT_WORK:
            duration_s: float | None = step["duration_s"]
            return duration_s
        now_s = time.monotonic()
        return now_s - self._begun_s.setdefault(step["name"], now_s)


def _mark(status: str) -> RenderableType:
    match status:
        case "succeeded":
            return Text("✓", style="green")
        case "failed" | "given_up":
            return Text("✗", style="red")
        case "running" | "undoing":
            return Spinner("dots")
        case "undone":
            return Text("↶", style="yellow")
    return Text("·", style="dim")


def _seconds(duration_s: float | None) -> str:
    return "" if duration_s is None else f"{duration_s:.1f} s"
