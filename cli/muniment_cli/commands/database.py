"""`muniment database`: the databases of an instance, over the REST API, for tenants."""

from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from muniment_cli.confirmation import confirm
from muniment_cli.operation_view import follow_operation
from muniment_cli.output import Form, print_records
from muniment_cli.rest import logged_in

__all__ = ["app"]

app = App(name="database", help="Create, list and drop databases of an instance.")

_LIMIT_S = 300.0

Cloud = Annotated[str | None, Parameter(help="Cloud in clouds.yaml; OS_CLOUD otherwise.")]
Output = Annotated[Form, Parameter(alias="-o", help="How to print the result.")]
Wait = Annotated[bool, Parameter(negative="", help="Show the steps until it is done.")]
Yes = Annotated[bool, Parameter(negative="", help="Do not ask; without a terminal nobody is asked.")]
Instance = Annotated[str, Parameter(help="Name or id of an instance.")]


@app.command(name="list")
def list_(instance: Instance, *, cloud: Cloud = None, output: Output = "table") -> None:
    """List the databases of an instance.

    Example: `muniment database list shop`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        databases = rest.listed(f"/instances/{found['id']}/databases", "databases")
    print_records(databases, output, ("name",))


@app.command
def create(
    instance: Instance,
    name: Annotated[str, Parameter(help="Name of the database.")],
    *,
    wait: Wait = False,
    cloud: Cloud = None,
) -> None:
    """Create a database; accounts get access to it with `muniment user grant`.

    Example: `muniment database create shop orders --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        rest.post(f"/instances/{found['id']}/databases", {"databases": [{"name": name}]})
        if wait:
            look = f"muniment database list {found['id']}"
            follow_operation(rest, "create_databases", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"database {name} of {found['name']} {'is there' if wait else 'is being created'}")


@app.command
def drop(
    instance: Instance,
    name: Annotated[str, Parameter(help="Name of the database.")],
    *,
    yes: Yes = False,
    wait: Wait = False,
    cloud: Cloud = None,
) -> None:
    """Drop a database with everything in it. On a terminal it asks first.

    Example: `muniment database drop shop orders --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        confirm(
            f"This drops the database {name} of {found['name']} ({found['id']}) with everything in it.",
            "Only a backup of the instance brings it back.",
            yes=yes,
        )
        rest.delete(f"/instances/{found['id']}/databases/{quote(name, safe='')}")
        if wait:
            look = f"muniment database list {found['id']}"
            follow_operation(rest, "drop_database", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"database {name} of {found['name']} is {'dropped' if wait else 'being dropped'}")
