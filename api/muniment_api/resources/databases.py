"""The databases of an instance. Lists ask the engine; changes are operations."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from muniment.contract.manifest import Capability
from muniment.contract.ops import DB_LIST, DatabaseSpec
from muniment.contract.ops import Page as GuestPage
from muniment.domain.accounts import accepted_databases
from muniment.domain.arguments import DatabasesArguments, DropDatabaseArguments
from muniment.domain.instance import Instance
from muniment.domain.names import check_database
from muniment.domain.refused import NotFound, Refused
from muniment.operations.databases import CREATE_DATABASES, DROP_DATABASE
from muniment_api.call import Call
from muniment_api.live import every_item
from muniment_api.paging import listing, page_of
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.starting import Order, start_on
from muniment_api.subjects import reachable_instance
from muniment_api.waiting import Waiting
from muniment_api.wanted import AT_ONCE, DatabaseBody, wanted_databases

__all__ = ["ROUTES"]


class CreateDatabases(msgspec.Struct, frozen=True):
    """Databases to create; openstacksdk sends one as `database`."""

    databases: Annotated[list[DatabaseBody], msgspec.Meta(max_length=AT_ONCE)] | None = None
    database: DatabaseBody | None = None


def every_database(call: Call, instance: Instance) -> Waiting[list[DatabaseSpec]]:
    """All databases that the engine has, system ones left out."""
    queries = call.services.queries
    return every_item(lambda page: queries.ask(instance, DB_LIST, page), lambda database: database.name)


def index(call: Call) -> Waiting[Response]:
    """A page of databases, by name."""
    instance = reachable_instance(call, Capability.DATABASES)
    page = page_of(call.query, size=call.settings.page_sizes.databases)
    found = yield from call.services.queries.ask(
        instance, DB_LIST, GuestPage(limit=page.limit, marker=page.marker)
    )
    marker = found.items[-1].name if found.more and found.items else None
    return listing(call, "databases", [{"name": database.name} for database in found.items], marker)


def show(call: Call) -> Waiting[Response]:
    """One database (D-16)."""
    database = yield from _existing(call, reachable_instance(call, Capability.DATABASES), call.path("name"))
    shown = {"name": database.name, "character_set": database.character_set, "collate": database.collate}
    return JsonResponse({"database": shown})


def create(call: Call) -> Waiting[Response]:
    """Create databases; those that exist already are refused."""
    body = call.body(CreateDatabases)
    if (body.databases is None) == (body.database is None):
        raise Refused("bad-request", "Send `databases`, a list.", status=400)
    bodies = body.databases if body.databases is not None else [body.database] if body.database else []
    instance = reachable_instance(call, Capability.DATABASES)
    control = call.services.drivers.control(instance.datastore.datastore)
    wanted = accepted_databases(control, wanted_databases(bodies))
    present = (yield from every_database(call, instance)) if wanted else []
    names = {database.name for database in present}
    for database in wanted:
        if database.name in names:
            raise Refused("exists", f"database {database.name!r} exists already", status=400)
    if wanted:
        start_on(call, CREATE_DATABASES, instance, Order(DatabasesArguments(databases=wanted)))
    return accepted()


def delete(call: Call) -> Waiting[Response]:
    """Drop a database."""
    instance = reachable_instance(call, Capability.DATABASES)
    name = call.path("name")
    check_database(call.services.drivers.control(instance.datastore.datastore), DatabaseSpec(name=name))
    yield from _existing(call, instance, name)
    start_on(call, DROP_DATABASE, instance, Order(DropDatabaseArguments(name=name)))
    return accepted()


def _existing(call: Call, instance: Instance, name: str) -> Waiting[DatabaseSpec]:
    for database in (yield from every_database(call, instance)):
        if database.name == name:
            return database
    raise NotFound("database", name)


_DATABASES, _RULE = "/instances/{instance_id}/databases", "instance:extension:database"
ROUTES = (
    Route("GET", _DATABASES, f"{_RULE}:index", index),
    Route("POST", _DATABASES, f"{_RULE}:create", create),
    Route("GET", _DATABASES + "/{name}", f"{_RULE}:show", show),
    Route("DELETE", _DATABASES + "/{name}", f"{_RULE}:delete", delete),
)
