"""`muniment backup`: backups, over the REST API, for tenants."""

import shlex
import sys
from typing import Annotated

from cyclopts import App, Parameter

from muniment_cli.confirmation import confirm
from muniment_cli.operation_view import follow_operation
from muniment_cli.output import Form, print_record, print_records
from muniment_cli.rest import Body, logged_in

__all__ = ["app"]

app = App(name="backup", help="Create, list, show and delete backups.")

_COLUMNS = ("id", "name", "status", "instance_id", "size_gib", "created")
_LIMIT_S = 6 * 3600.0

Cloud = Annotated[str | None, Parameter(help="Cloud in clouds.yaml; OS_CLOUD otherwise.")]
Output = Annotated[Form, Parameter(alias="-o", help="How to print the result.")]
Wait = Annotated[bool, Parameter(negative="", help="Show the steps until it is done.")]
Yes = Annotated[bool, Parameter(negative="", help="Do not ask; without a terminal nobody is asked.")]
NameOrId = Annotated[str, Parameter(help="Name or id of a backup.")]


@app.command
def create(
    instance: Annotated[str, Parameter(help="Name or id of an instance.")],
    name: Annotated[str, Parameter(help="Name of the backup.")],
    *,
    description: Annotated[str | None, Parameter(help="What it is for.")] = None,
    wait: Wait = False,
    cloud: Cloud = None,
    output: Output = "table",
) -> None:
    """Back an instance up.

    Example: `muniment backup create shop before-upgrade --wait`
    """
    with logged_in(cloud) as rest:
        if rest.called("backups", name):
            print(f"note: a backup named {name} is there already; tell them apart by id", file=sys.stderr)
        wanted = {"name": name, "instance": rest.find("instances", instance)["id"], "incremental": 0}
        if description is not None:
            wanted["description"] = description
        backup = rest.post("/backups", {"backup": wanted})["backup"]
        if wait:
            look = f"muniment backup show {shlex.quote(name)}"
            follow_operation(rest, "create_backup", limit_s=_LIMIT_S, look=look, backup_id=backup["id"])
            backup = rest.get(f"/backups/{backup['id']}")["backup"]
    _print(backup, output)


@app.command(name="list")
def list_(
    *,
    instance: Annotated[str | None, Parameter(help="Only those of this instance, by name or id.")] = None,
    cloud: Cloud = None,
    output: Output = "table",
) -> None:
    """List the backups of your project.

    Example: `muniment backup list --instance shop`
    """
    with logged_in(cloud) as rest:
        instance_id = None if instance is None else rest.find("instances", instance)["id"]
        backups = list(rest.all("backups", instance_id=instance_id))
    print_records(backups if output != "table" else [_row(one) for one in backups], output, _COLUMNS)


@app.command
def show(backup: NameOrId, *, cloud: Cloud = None, output: Output = "table") -> None:
    """Show a backup.

    Example: `muniment backup show before-upgrade`
    """
    with logged_in(cloud) as rest:
        _print(rest.find("backups", backup), output)


@app.command
def delete(backup: NameOrId, *, yes: Yes = False, wait: Wait = False, cloud: Cloud = None) -> None:
    """Delete a backup; on a terminal it asks first.

    Example: `muniment backup delete before-upgrade --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("backups", backup)
        confirm(
            f"This deletes the backup {found['name']} ({found['id']}), created {found['created']}.",
            "There is no way back.",
            yes=yes,
        )
        rest.delete(f"/backups/{found['id']}")
        if wait:
            look = "muniment backup list"
            follow_operation(rest, "delete_backup", limit_s=_LIMIT_S, look=look, backup_id=found["id"])
    print(f"backup {found['name']} ({found['id']}) is {'deleted' if wait else 'being deleted'}")


def _print(backup: Body, output: Form) -> None:
    print_record(backup if output != "table" else _row(backup), output)


def _row(backup: Body) -> dict[str, object]:
    return {
        "id": backup["id"],
        "name": backup["name"],
        "status": backup["status"] + (" (being deleted)" if backup.get("is_deleting") else ""),
        "instance_id": backup["instance_id"],
        "size_gib": backup["size"],
        "created": backup["created"],
        "description": backup["description"],
    }
