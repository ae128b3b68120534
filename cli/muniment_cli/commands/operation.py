"""`muniment operation`: what is being done and was done, over the REST API, for tenants."""

import sys
from itertools import islice
from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter
from cyclopts.types import PositiveInt

from muniment_cli.failure import Failure
from muniment_cli.operation_view import watch_operation
from muniment_cli.output import Form, print_record, print_records
from muniment_cli.rest import Body, logged_in

__all__ = ["app"]

app = App(name="operation", help="List, show and cancel what is being done.")

_COLUMNS = ("id", "kind", "status", "instance_id", "backup_id", "started_at", "duration_s")
_STEP_COLUMNS = ("name", "status", "duration_s", "message")
_SUCCEEDED = "succeeded"
_LIMIT_S = 6 * 3600.0

Cloud = Annotated[str | None, Parameter(help="Cloud in clouds.yaml; OS_CLOUD otherwise.")]
Output = Annotated[Form, Parameter(alias="-o", help="How to print the result.")]
Wait = Annotated[bool, Parameter(negative="", help="Show the steps until it has ended.")]
Id = Annotated[str, Parameter(help="Id of an operation, or how it begins, from `muniment operation list`.")]


@app.command(name="list")
def list_(
    *,
    instance: Annotated[str | None, Parameter(help="Only those on this instance, by name or id.")] = None,
    backup: Annotated[str | None, Parameter(help="Only those on this backup, by name or id.")] = None,
    running: Annotated[bool, Parameter(negative="", help="Only those that have not ended.")] = False,
    limit: Annotated[PositiveInt, Parameter(help="How many, the newest first.")] = 20,
    cloud: Cloud = None,
    output: Output = "table",
) -> None:
    """List the operations of your project, the newest first.

    Example: `muniment operation list --instance shop --running`
    """
    with logged_in(cloud) as rest:
        narrowed = {
            "instance_id": None if instance is None else rest.find("instances", instance)["id"],
            "backup_id": None if backup is None else rest.find("backups", backup)["id"],
            "state": "running" if running else None,
        }
        operations = list(islice(rest.all("operations", **narrowed), limit))
    print_records(operations, output, _COLUMNS)


@app.command
def show(operation: Id, *, wait: Wait = False, cloud: Cloud = None, output: Output = "table") -> None:
    """Show an operation and its steps.

    With `--wait` the exit code is 1 when it does not succeed.

    Example: `muniment operation show 1b4e28ba-2fa1-11d2-883f-0016d3cca427 --wait`
    """
    with logged_in(cloud) as rest:
        operation = rest.operation_id(operation)
        found: Body = rest.get(_path(operation))["operation"]
        if wait:
            found = watch_operation(rest, operation, limit_s=_LIMIT_S, look=_look(operation))
    _print(found, output)
    if wait and found["status"] != _SUCCEEDED:
        raise Failure(found["message"] or f"the operation ended as {found['status']}")


@app.command
def cancel(operation: Id, *, wait: Wait = False, cloud: Cloud = None, output: Output = "table") -> None:
    """Stop an operation that runs: what it did is undone. A deletion cannot be stopped.

    It ends a moment later, as `failed`; what nothing undoes is waited for. With `--wait` the exit code is 1 when its last
    effect was there before.

    Example: `muniment operation cancel 1b4e28ba-2fa1-11d2-883f-0016d3cca427 --wait`
    """
    with logged_in(cloud) as rest:
        operation = rest.operation_id(operation)
        found: Body = rest.post(f"{_path(operation)}/cancel", {})["operation"]
        if wait:
            found = watch_operation(rest, operation, limit_s=_LIMIT_S, look=_look(operation))
    _print(found, output)
    if not wait:
        # The operation hears of it at its next turn: until then it shows as running.
        print(f"note: it is asked to stop; see it end with {_look(operation)}", file=sys.stderr)
    if wait and found["status"] == _SUCCEEDED:
        raise Failure("it was too late: the operation succeeded")


def _path(operation_id: str) -> str:
    return f"/operations/{quote(operation_id, safe='')}"


def _look(operation_id: str) -> str:
    return f"muniment operation show {operation_id} --wait"


def _print(operation: Body, output: Form) -> None:
    """For people a line a field, then a line a step."""
    if output != "table":
        print_record(operation, output)
        return
    shown = (*_COLUMNS, "is_cancelled", "ended_at", "message")
    print_record({name: operation[name] for name in shown}, output)
    print()
    print_records(operation["steps"], output, _STEP_COLUMNS)
