"""The tenant's superuser. Enabling is an operation whose request waits for its end, since only then is the password good."""

import secrets
import string
from uuid import uuid4

import msgspec
from starlette.responses import Response

from muniment.contract.manifest import Capability
from muniment.contract.ops import SUPERUSER_STATUS, Nothing
from muniment.domain.arguments import SuperuserArguments
from muniment.domain.instance import Instance
from muniment.domain.names import check_password
from muniment.domain.operation import verb_of
from muniment.domain.refused import NotFound, Refused
from muniment.operations.superuser import DISABLE_SUPERUSER, ENABLE_SUPERUSER
from muniment.secret import Secret
from muniment_api.call import Call
from muniment_api.responses import JsonResponse, no_content
from muniment_api.route import Route
from muniment_api.starting import Order, start_on
from muniment_api.subjects import instance_of, reachable_instance
from muniment_api.waiting import Waiting

__all__ = ["ROUTES"]

_LENGTH = 36
_ALPHABET = string.ascii_letters + string.digits


class EnableRoot(msgspec.Struct, frozen=True):
    """The password that the caller wants, or none."""

    password: Secret | None = None


def show(call: Call) -> Response:
    """Whether the superuser is enabled; from the instance's history, no guest is asked."""
    return JsonResponse({"rootEnabled": instance_of(call).superuser_enabled})


def enable(call: Call) -> Waiting[Response]:
    """Have the superuser, with the given password or a new one; called again it gets another password."""
    wanted = call.body(EnableRoot).password if call.content else None
    instance = reachable_instance(call, Capability.SUPERUSER)
    services = call.services
    if not services.allows_superuser:
        raise Refused(
            "superuser-not-isolated",
            "The superuser is off: all instances of this installation run as one operating system user, whose files it "
            "could reach. An operator may allow it with `allow_shared_superuser = true` in [local] of the settings.",
            status=422,
        )
    password = wanted or Secret("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)))
    check_password(services.drivers.control(instance.datastore.datastore), password)
    # Asked before anything is done: a guest that is silent is noticed now, and not when there is a password to hand over.
    name = (yield from services.queries.ask(instance, SUPERUSER_STATUS, Nothing())).name
    ref = uuid4()
    order = Order(SuperuserArguments(secret_ref=ref), {ref: password})
    operation_id = start_on(call, ENABLE_SUPERUSER, instance, order)
    yield from services.endings.require(operation_id)
    return JsonResponse({"user": {"name": name, "password": password.reveal_text()}})


def disable(call: Call) -> Waiting[Response]:
    """Have it gone; where the history tells of none, the engine is asked, which may have one all the same."""
    instance = reachable_instance(call, Capability.SUPERUSER)
    if not (yield from _may_be_there(call, instance)):
        raise NotFound("root of instance", instance.id)
    operation_id = start_on(call, DISABLE_SUPERUSER, instance)
    yield from call.services.endings.require(operation_id)
    return no_content()


def _may_be_there(call: Call, instance: Instance) -> Waiting[bool]:
    """Whether there is a superuser, or one is on its way.

    An enabling whose end was not heard of, or that a reset ended, may have made one of which no history tells.
    """
    if instance.superuser_enabled or instance.occupied_by(verb_of(ENABLE_SUPERUSER.kind)):
        return True
    return (yield from call.services.queries.ask(instance, SUPERUSER_STATUS, Nothing())).enabled


_ROOT = "/instances/{instance_id}/root"
ROUTES = (
    Route("GET", _ROOT, "instance:extension:root:index", show),
    Route("POST", _ROOT, "instance:extension:root:create", enable),
    Route("DELETE", _ROOT, "instance:extension:root:delete", disable),
)
