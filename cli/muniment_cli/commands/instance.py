"""`muniment instance`: databases, over the REST API, for tenants."""

import os
import shlex
import sys
from typing import Annotated

from cyclopts import App, Parameter

from muniment.secret import Secret
from muniment_api.auth.passwords import generated_password
from muniment_cli.confirmation import confirm
from muniment_cli.failure import BadInput, Failure
from muniment_cli.operation_view import follow_operation
from muniment_cli.output import Form, print_record, print_records
from muniment_cli.psql import address_of, command_line, fitting_psql
from muniment_cli.rest import Body, Rest, logged_in

__all__ = ["app"]

app = App(name="instance", help="Create, list, show, connect to, restart and delete databases.")

_COLUMNS = ("id", "name", "status", "operating_status", "datastore", "addresses", "size_gib")
_LIMIT_S = 900.0
_COMPLETED = "COMPLETED"

Cloud = Annotated[str | None, Parameter(help="Cloud in clouds.yaml; OS_CLOUD otherwise.")]
Output = Annotated[Form, Parameter(alias="-o", help="How to print the result.")]
Wait = Annotated[bool, Parameter(negative="", help="Show the steps until it is done.")]
Yes = Annotated[bool, Parameter(negative="", help="Do not ask; without a terminal nobody is asked.")]
NameOrId = Annotated[str, Parameter(help="Name or id of an instance.")]


@app.command
def create(
    name: Annotated[str, Parameter(help="Name of the instance.")],
    *,
    size: Annotated[int, Parameter(help="Size of the volume in GiB.")] = 1,
    flavor: Annotated[str | None, Parameter(help="Name or id of a flavor; the smallest otherwise.")] = None,
    datastore: Annotated[str, Parameter(help="Datastore.")] = "postgresql",
    datastore_version: Annotated[
        str | None, Parameter(help="Its version; the default one otherwise.")
    ] = None,
    database: Annotated[str | None, Parameter(help="A database to create.")] = None,
    user: Annotated[
        str | None,
        Parameter(
            help="An account to create, with access to the database; one that a backup brought gets the new password."
        ),
    ] = None,
    password_stdin: Annotated[
        bool, Parameter(negative="", help="Read its password from standard input; one is drawn otherwise.")
    ] = False,
    backup: Annotated[
        str | None,
        Parameter(help="Name or id of a backup to restore, with its databases, accounts and passwords."),
    ] = None,
    wait: Wait = False,
    cloud: Cloud = None,
    output: Output = "table",
) -> None:
    """Create an instance; with `--wait` the last line is a psql command that reaches it.

    Example: `muniment instance create shop --size 2 --database shop --user app --wait`
    """
    password = _password(user, from_stdin=password_stdin)
    with logged_in(cloud) as rest:
        wanted: dict[str, object] = {
            "name": name,
            "flavorRef": _flavor_id(rest, flavor),
            "volume": {"size": size},
            "datastore": {
                "type": datastore,
                **({} if datastore_version is None else {"version": datastore_version}),
            },
        }
        if database is not None:
            wanted["databases"] = [{"name": database}]
        if user is not None and password is not None:
            access = [] if database is None else [{"name": database}]
            wanted["users"] = [{"name": user, "password": password.reveal_text(), "databases": access}]
        if backup is not None:
            wanted["restorePoint"] = {"backupRef": _backup_id(rest, backup)}
        is_taken = bool(rest.called("instances", name))
        if is_taken:
            _note(f"an instance named {name} is there already; tell them apart by id")
        instance = rest.post("/instances", {"instance": wanted})["instance"]
        drawn = None if password_stdin else password
        _tell_password(user, drawn)
        if wait:
            look = f"muniment instance show {instance['id'] if is_taken else shlex.quote(name)}"
            follow_operation(rest, "create_instance", limit_s=_LIMIT_S, look=look, instance_id=instance["id"])
            instance = rest.get(f"/instances/{instance['id']}")["instance"]
        line = None
        if wait and (user is not None or backup is not None):
            line = _connect_line(rest, instance, user=user, database=database, password=drawn)
    if backup is not None:
        print(_restored_accounts(user), file=sys.stderr, flush=True)
    _print_created(instance, output, line, drawn)


@app.command(name="list")
def list_(*, cloud: Cloud = None, output: Output = "table") -> None:
    """List the instances of your project.

    Example: `muniment instance list -o json`
    """
    with logged_in(cloud) as rest:
        instances = list(rest.all("instances"))
    print_records(instances if output != "table" else [_row(one) for one in instances], output, _COLUMNS)


@app.command
def show(instance: NameOrId, *, cloud: Cloud = None, output: Output = "table") -> None:
    """Show an instance.

    Example: `muniment instance show shop`
    """
    with logged_in(cloud) as rest:
        _print(rest.find("instances", instance), output)


@app.command
def restart(instance: NameOrId, *, wait: Wait = False, cloud: Cloud = None) -> None:
    """Restart the engine of an instance; whoever is connected loses the connection.

    Example: `muniment instance restart shop --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        rest.post(f"/instances/{found['id']}/action", {"restart": {}})
        if wait:
            look = f"muniment instance show {found['id']}"
            follow_operation(rest, "restart_instance", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"instance {found['name']} ({found['id']}) {'was restarted' if wait else 'is being restarted'}")


@app.command
def delete(instance: NameOrId, *, yes: Yes = False, wait: Wait = False, cloud: Cloud = None) -> None:
    """Delete an instance with everything in it; its backups stay. On a terminal it asks first.

    Example: `muniment instance delete shop --wait`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        confirm(
            f"This deletes the instance {found['name']} ({found['id']}) with everything in it.",
            _what_is_left(rest, found["id"]),
            yes=yes,
        )
        rest.delete(f"/instances/{found['id']}")
        if wait:
            look = "muniment instance list"
            follow_operation(rest, "delete_instance", limit_s=_LIMIT_S, look=look, instance_id=found["id"])
    print(f"instance {found['name']} ({found['id']}) is {'deleted' if wait else 'being deleted'}")


@app.command
def connect(
    instance: NameOrId,
    *,
    user: Annotated[str, Parameter(help="Account.")],
    database: Annotated[
        str | None, Parameter(help="Database; otherwise the only one, or the one named like the account.")
    ] = None,
    cloud: Cloud = None,
) -> None:
    """Open psql on an instance; it asks for the password.

    Example: `muniment instance connect shop --user app --database shop`
    """
    with logged_in(cloud) as rest:
        found = rest.find("instances", instance)
        address, port = address_of(found)
        database = database or _only(rest, found, "databases") or user
    psql = fitting_psql(found)
    _note(psql.note)
    words = shlex.split(command_line(psql, address, port, user=user, database=database))
    sys.stdout.flush()
    try:
        os.execvp(words[0], words)  # noqa: S606 - psql takes this process's place
    except OSError:
        raise BadInput("there is no psql on this machine; install a PostgreSQL client") from None


def _what_is_left(rest: Rest, instance_id: str) -> str:
    """Whether a deletion can be made good."""
    backups = rest.all("backups", instance_id=instance_id)
    completed = [backup for backup in backups if _is_good(backup)]
    if not completed:
        return "No COMPLETED backup of it exists: there is no way back."
    newest = max(completed, key=_created)
    return f"COMPLETED backups of it stay: {len(completed)}, the newest is {newest['name']} of {_created(newest)}."


def _backup_id(rest: Rest, name_or_id: str) -> str:
    """Of several backups with one name the newest that is complete is meant."""
    found = rest.called("backups", name_or_id)
    completed = [backup for backup in found if _is_good(backup)]
    if len(found) < 2 or not completed:  # one, whatever its state, is for the service to judge
        return str(rest.find("backups", name_or_id)["id"])
    newest = max(completed, key=_created)
    print(
        f"note: {len(found)} backups are named {name_or_id}; "
        f"this is the newest COMPLETED one, {newest['id']} (created {newest['created']})",
        file=sys.stderr,
    )
    return str(newest["id"])


def _is_good(backup: Body) -> bool:
    """Whether it can be restored."""
    return bool(backup["status"] == _COMPLETED) and not backup.get("is_deleting", False)


def _created(backup: Body) -> str:
    return str(backup["created"])


def _restored_accounts(user: str | None) -> str:
    """Who can log in to an instance that was made from a backup."""
    text = "its databases, accounts and their passwords are those of the backup; its superuser is off"
    if user is not None:
        text += f"; {user} is there beside them, or has the new password if the backup brought an account of that name"
    return text


def _connect_line(
    rest: Rest, instance: Body, *, user: str | None, database: str | None, password: Secret | None
) -> str:
    """A psql command; what a restored instance brought with it is looked up."""
    address, port = address_of(instance)
    psql = fitting_psql(instance)
    _note(psql.note)
    return command_line(
        psql,
        address,
        port,
        user=user or _only(rest, instance, "users") or "ACCOUNT",
        database=database or _only(rest, instance, "databases") or "postgres",
        password=password,
    )


def _note(text: str) -> None:
    """On standard error, so that the output stays the record alone."""
    if text:
        print(f"note: {text}", file=sys.stderr, flush=True)


def _only(rest: Rest, instance: Body, collection: str) -> str | None:
    """The name of the only database or user of an instance; None when there are more, or it does not tell."""
    try:
        found = rest.get(f"/instances/{instance['id']}/{collection}")[collection]
    except Failure:
        return None
    return str(found[0]["name"]) if len(found) == 1 else None


def _password(user: str | None, *, from_stdin: bool) -> Secret | None:
    if user is None:
        if from_stdin:
            raise BadInput("--password-stdin needs --user")
        return None
    if not from_stdin:
        return generated_password()
    text = sys.stdin.readline(4096).rstrip("\n")
    if not text:
        raise BadInput("standard input holds no password")
    return Secret(text)


def _tell_password(user: str | None, drawn: Secret | None) -> None:
    """Before any wait, which may end early; on standard error, so that the output stays the record alone."""
    if user is not None and drawn is not None:
        print(f"password of {user}: {drawn.reveal_text()} (shown only now)", file=sys.stderr, flush=True)


def _flavor_id(rest: Rest, wanted: str | None) -> str:
    flavors = rest.get("/flavors")["flavors"]
    if wanted is None:
        return _id_of(min(flavors, key=lambda flavor: flavor["ram"]))
    for flavor in flavors:
        if wanted in (flavor["name"], _id_of(flavor)):
            return _id_of(flavor)
    raise BadInput(f"there is no flavor {wanted}; there are: {', '.join(f['name'] for f in flavors)}")


def _id_of(flavor: Body) -> str:
    return str(flavor.get("str_id") or flavor["id"])


def _print_created(instance: Body, output: Form, line: str | None, drawn: Secret | None) -> None:
    """The new instance and how to reach it: the last line for people, two fields more for programs."""
    if output == "table":
        _print(instance, output)
        if line is not None:
            print(line)
        return
    more = {"password": None if drawn is None else drawn.reveal_text(), "connect": line}
    _print({**instance, **{key: value for key, value in more.items() if value is not None}}, output)


def _print(instance: Body, output: Form) -> None:
    print_record(instance if output != "table" else _row(instance, full=True), output)


def _row(instance: Body, *, full: bool = False) -> dict[str, object]:
    """The fields that people look for, flat."""
    datastore = instance["datastore"]
    row: dict[str, object] = {
        "id": instance["id"],
        "name": instance["name"],
        "status": instance["status"],
        "operating_status": instance.get("operating_status") or None,
        "datastore": f"{datastore['type']} {datastore['version']}",
        "addresses": ", ".join(one["address"] for one in instance.get("addresses") or []) or None,
        "size_gib": instance["volume"]["size"],
    }
    if full:
        row["flavor"] = instance["flavor"]["id"]
        row["created"] = instance.get("created")
        if (used := instance["volume"].get("used")) is not None:
            row["used_gib"] = used
        if (fault := instance.get("fault")) is not None:
            row["fault"] = fault["message"]
    return row
