"""The databases of an instance. Lists ask the engine; changes are operations."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from starlette.responses import Response

from muniment.contract.ops import DB_LIST, DatabaseSpec
from muniment.contract.ops import Page as GuestPage
from muniment.domain.arguments import DatabasesArguments, DropDatabaseArguments
from muniment.domain.instance import Instance, check_databases_reachable
from muniment.domain.refused import NotFound, Refused
from muniment.operations.databases import CREATE_DATABASES, DROP_DATABASE
from muniment_api.call import Call
from muniment_api.names import check_database
from muniment_api.paging import listing, page_of
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.starting import start_on
from muniment_api.subjects import instance_of
from muniment_api.wanted import AT_ONCE, DatabaseBody, wanted_databases

__all__ = ["ROUTES"]

_GUEST_PAGE = 1000


class CreateDatabases(msgspec.Struct, frozen=True):
    """Databases to create; openstacksdk sends one as `database`."""

    databases: Annotated[list[DatabaseBody], msgspec.Meta(max_length=AT_ONCE)] | None = None
    database: DatabaseBody | None = None


def every_database(call: Call, instance: Instance) -> Iterator[DatabaseSpec]:
    """All databases that the engine has, system ones left out."""
    marker: str | None = None
    while True:
        found = call.services.queries.ask(instance, DB_LIST, GuestPage(limit=_GUEST_PAGE, marker=marker))
        yield from found.items
        if not found.more or not found.items:
            return
        marker = found.items[-1].name


def index(call: Call) -> Response:
    """A page of databases, by name."""
    instance = instance_of(call)
    check_databases_reachable(instance)
    page = page_of(call.query, size=call.settings.page_sizes.databases)
    found = call.services.queries.ask(instance, DB_LIST, GuestPage(limit=page.limit, marker=page.marker))
    marker = found.items[-1].name if found.more and found.items else None
    return listing(call, "databases", [{"name": database.name} for database in found.items], marker)


def show(call: Call) -> Response:
    """One database (D-16)."""
    database = _existing(call, instance_of(call), call.path("name"))
    shown = {"name": database.name, "character_set": database.character_set, "collate": database.collate}
    return JsonResponse({"database": shown})


def create(call: Call) -> Response:
    """Create databases; those that exist already are refused."""
    body = call.body(CreateDatabases)
    if (body.databases is None) == (body.database is None):
        raise Refused("bad-request", "Send `databases`, a list.", status=400)
    bodies = body.databases if body.databases is not None else [body.database] if body.database else []
    instance = instance_of(call)
    wanted = wanted_databases(call, instance.datastore.datastore, bodies)
    check_databases_reachable(instance)
    present = {database.name for database in every_database(call, instance)} if wanted else set()
    for database in wanted:
        if database.name in present:
            raise Refused("exists", f"database {database.name!r} exists already", status=400)
    if wanted:
        start_on(call, CREATE_DATABASES, instance.id, DatabasesArguments(databases=wanted))
    return accepted()


def delete(call: Call) -> Response:
    """Drop a database."""
    instance = instance_of(call)
    name = call.path("name")
    check_database(call.services.drivers.control(instance.datastore.datastore), DatabaseSpec(name=name))
    _existing(call, instance, name)
    start_on(call, DROP_DATABASE, instance.id, DropDatabaseArguments(name=name))
    return accepted()


def _existing(call: Call, instance: Instance, name: str) -> DatabaseSpec:
    check_databases_reachable(instance)
    for database in every_database(call, instance):
        if database.name == name:
            return database
    raise NotFound("database", name)


ROUTES = (
    Route("GET", "/instances/{instance_id}/databases", "instance:extension:database:index", index),
    Route("POST", "/instances/{instance_id}/databases", "instance:extension:database:create", create),
    Route("GET", "/instances/{instance_id}/databases/{name}", "instance:extension:database:show", show),
    Route(
        "DELETE", "/instances/{instance_id}/databases/{name}", "instance:extension:database:delete", delete
    ),
)
