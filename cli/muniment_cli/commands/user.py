"""`muniment user`: the accounts of an instance, over the REST API, for tenants."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from muniment_cli.commands.database import Cloud, Instance, Output, Wait, Yes
from muniment_cli.confirmation import confirm
from muniment_cli.operation_view import follow_operation
from muniment_cli.output import print_records
from muniment_cli.passwords import chosen_password, tell_password
from muniment_cli.rest import Body, logged_in

__all__ = ["app"]

app = App(name="user", help="Create, list, change and drop accounts of an instance.")

_LIMIT_S = 300.0

Account = Annotated[str, Parameter(help="Name of the account.")]
FromStdin = Annotated[
    bool, Parameter(negative="", help="Read its password from standard input; one is drawn otherwise.")
]


@app.command(name="list")
def list_(instance: Instance, *, cloud: Cloud = None, output: Output = "table") -> None:
    """List the accounts of an instance, and to which databases they have access.

    Example: `muniment user list shop`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        users = rest.listed(f"/instances/{found['id']}/users", "users")
    rows = users if output != "table" else [_row(user) for user in users]
    print_records(rows, output, ("name", "host", "databases"))


@app.command
def create(
    instance: Instance,
    name: Account,
    *,
    database: Annotated[
        Sequence[str], Parameter(help="A database that it has access to; may be given again.")
    ] = (),
    password_stdin: FromStdin = False,
    wait: Wait = False,
    cloud: Cloud = None,
) -> None:
    """Create an account. A password that was drawn is shown once.

    Example: `muniment user create shop reporting --database shop --wait`
    """
    password = chosen_password(from_stdin=password_stdin)
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        access = [{"name": one} for one in database]
        wanted = {"name": name, "password": password.reveal_text(), "databases": access}
        rest.post(f"/instances/{found['id']}/users", {"users": [wanted]})
        if not password_stdin:
            tell_password(name, password)
        if wait:
            look = f"muniment user list {found['id']}"
            follow_operation(rest, "create_users", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"account {name} of {found['name']} {'is there' if wait else 'is being created'}")


@app.command
def passwd(
    instance: Instance,
    name: Account,
    *,
    password_stdin: FromStdin = False,
    wait: Wait = False,
    cloud: Cloud = None,
) -> None:
    """Give an account another password. One that was drawn is shown once.

    Example: `muniment user passwd shop reporting --wait`
    """
    password = chosen_password(from_stdin=password_stdin)
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        wanted = {"name": name, "password": password.reveal_text()}
        rest.put(f"/instances/{found['id']}/users", {"users": [wanted]})
        if not password_stdin:
            tell_password(name, password)
        if wait:
            look = f"muniment user list {found['id']}"
            follow_operation(rest, "alter_user", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"account {name} of {found['name']} {'has' if wait else 'is being given'} another password")


@app.command
def grant(
    instance: Instance,
    name: Account,
    database: Annotated[str, Parameter(help="Name of a database.")],
    *,
    wait: Wait = False,
    cloud: Cloud = None,
) -> None:
    """Give an account access to a database.

    Example: `muniment user grant shop reporting orders --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        path = f"/instances/{found['id']}/users/{quote(name, safe='')}/databases"
        rest.put(path, {"databases": [{"name": database}]})
        if wait:
            look = f"muniment user list {found['id']}"
            follow_operation(rest, "grant", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"account {name} of {found['name']} {'has' if wait else 'is being given'} access to {database}")


@app.command
def revoke(
    instance: Instance,
    name: Account,
    database: Annotated[str, Parameter(help="Name of a database.")],
    *,
    wait: Wait = False,
    cloud: Cloud = None,
) -> None:
    """Take an account's access to a database away.

    Example: `muniment user revoke shop reporting orders --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        path = f"/instances/{found['id']}/users/{quote(name, safe='')}/databases/{quote(database, safe='')}"
        rest.delete(path)
        if wait:
            look = f"muniment user list {found['id']}"
            follow_operation(rest, "revoke", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"access of {name} to {database} {'is' if wait else 'is being'} taken away")


@app.command
def drop(
    instance: Instance, name: Account, *, yes: Yes = False, wait: Wait = False, cloud: Cloud = None
) -> None:
    """Drop an account. On a terminal it asks first.

    Example: `muniment user drop shop reporting --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        what = f"This drops the account {name} of {found['name']} ({found['id']})."
        confirm(what, "What it made in databases stays.", yes=yes)
        rest.delete(f"/instances/{found['id']}/users/{quote(name, safe='')}")
        if wait:
            look = f"muniment user list {found['id']}"
            follow_operation(rest, "drop_user", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"account {name} of {found['name']} is {'dropped' if wait else 'being dropped'}")


def _row(user: Body) -> dict[str, object]:
    databases = ", ".join(one["name"] for one in user.get("databases") or [])
    return {"name": user["name"], "host": user.get("host") or None, "databases": databases or None}
