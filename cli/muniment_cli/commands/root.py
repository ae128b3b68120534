"""`muniment root`: the superuser of an instance, over the REST API, for tenants."""

import sys
from typing import Annotated

from cyclopts import App, Parameter

from muniment_cli.confirmation import confirm
from muniment_cli.output import Form, print_record
from muniment_cli.rest import Body, logged_in

__all__ = ["app"]

app = App(name="root", help="Enable, disable and show the superuser of an instance.")

Cloud = Annotated[str | None, Parameter(help="Cloud in clouds.yaml; OS_CLOUD otherwise.")]
Output = Annotated[Form, Parameter(alias="-o", help="How to print the result.")]
NameOrId = Annotated[str, Parameter(help="Name or id of an instance.")]


@app.command
def enable(
    instance: NameOrId,
    *,
    cloud: Cloud = None,
    output: Output = "table",
) -> None:
    """Have the superuser, and show its password, once; enabled again it gets another password. It waits until it is done.

    Example: `muniment root enable shop`
    """
    with logged_in(cloud) as rest:
        user = rest.post(_path(rest.find("instances", instance)), {})["user"]
    print("the password is shown only now", file=sys.stderr, flush=True)
    print_record({"name": user["name"], "password": user["password"]}, output)


@app.command
def disable(
    instance: NameOrId,
    *,
    yes: Annotated[
        bool, Parameter(negative="", help="Do not ask; without a terminal nobody is asked.")
    ] = False,
    cloud: Cloud = None,
) -> None:
    """Take the superuser away again. On a terminal it asks first. It waits until it is done.

    Example: `muniment root disable shop`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        confirm(f"This takes the superuser of {found['name']} ({found['id']}) away.", yes=yes)
        rest.delete(_path(found))
    print(f"the superuser of {found['name']} is disabled")


@app.command
def show(instance: NameOrId, *, cloud: Cloud = None, output: Output = "table") -> None:
    """Say whether the superuser is enabled.

    Example: `muniment root show shop`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        shown = rest.get(_path(found))
    print_record({"instance": found["id"], "enabled": shown["rootEnabled"]}, output)


def _path(instance: Body) -> str:
    return f"/instances/{instance['id']}/root"
