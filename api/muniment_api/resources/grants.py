"""Which databases an account may use."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from muniment.contract.manifest import Capability
from muniment.contract.ops import DatabaseSpec
from muniment.domain.arguments import GrantArguments, RevokeArguments
from muniment.domain.names import check_database, no_duplicates
from muniment.domain.refused import NotFound, Refused
from muniment.operations.grants import GRANT, REVOKE
from muniment_api.call import Call
from muniment_api.resources.users import existing_account
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.starting import Order, start_on
from muniment_api.subjects import reachable_instance
from muniment_api.waiting import Waiting
from muniment_api.wanted import AT_ONCE, DatabaseName

__all__ = ["ROUTES"]


class GrantDatabases(msgspec.Struct, frozen=True):
    """Databases that the account is to be able to use, beside those it can."""

    databases: Annotated[list[DatabaseName], msgspec.Meta(max_length=AT_ONCE)]


def index(call: Call) -> Waiting[Response]:
    """The databases of an account."""
    _, user = yield from existing_account(call, reachable_instance(call, Capability.USERS))
    return JsonResponse({"databases": [{"name": name} for name in user.databases]})


def grant(call: Call) -> Waiting[Response]:
    """Give access to databases."""
    names = [database.name for database in call.body(GrantDatabases).databases]
    if not names:
        raise Refused("bad-request", "Name at least one database.", status=400)
    instance = reachable_instance(call, Capability.USERS)
    control = call.services.drivers.control(instance.datastore.datastore)
    for name in names:
        check_database(control, DatabaseSpec(name=name))
    no_duplicates("database", names, str)
    account, _ = yield from existing_account(call, instance)
    arguments = GrantArguments(name=account.name, host=account.host, databases=tuple(names))
    start_on(call, GRANT, instance, Order(arguments))
    return accepted()


def revoke(call: Call) -> Waiting[Response]:
    """Take access to one database away."""
    instance = reachable_instance(call, Capability.USERS)
    account, user = yield from existing_account(call, instance)
    database = call.path("name")
    if database not in user.databases:
        raise NotFound("grant on database", database)
    arguments = RevokeArguments(name=account.name, host=account.host, database=database)
    start_on(call, REVOKE, instance, Order(arguments))
    return accepted()


_GRANTS, _RULE = "/instances/{instance_id}/users/{user}/databases", "instance:extension:user_access"
ROUTES = (
    Route("GET", _GRANTS, f"{_RULE}:index", index),
    Route("PUT", _GRANTS, f"{_RULE}:update", grant),
    Route("DELETE", _GRANTS + "/{name}", f"{_RULE}:delete", revoke),
)
