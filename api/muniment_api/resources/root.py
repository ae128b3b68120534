"""The tenant's superuser. Enabling is an operation whose request waits for its end, since only then is the password good."""

import secrets
import string
from uuid import uuid4

import msgspec
from starlette.responses import Response

from muniment.contract.manifest import Capability
from muniment.contract.ops import SUPERUSER_STATUS, Nothing
from muniment.domain.arguments import NoArguments, SuperuserArguments
from muniment.domain.instance import check_databases_reachable
from muniment.domain.refused import NotFound, Refused
from muniment.operations.superuser import DISABLE_SUPERUSER, ENABLE_SUPERUSER
from muniment.secret import Secret
from muniment_api.call import Call
from muniment_api.names import check_password
from muniment_api.responses import JsonResponse, no_content
from muniment_api.route import Route
from muniment_api.starting import start_on
from muniment_api.subjects import instance_of

__all__ = ["ROUTES"]

_LENGTH = 36
_ALPHABET = string.ascii_letters + string.digits
_WAIT_S = 30.0


class EnableRoot(msgspec.Struct, frozen=True):
    """The password that the caller wants, or none."""

    password: Secret | None = None


def show(call: Call) -> Response:
    """Whether the superuser is enabled; from the instance's history, no guest is asked."""
    return JsonResponse({"rootEnabled": instance_of(call).superuser_enabled})


def enable(call: Call) -> Response:
    """Have the superuser, with the given password or a new one; called again it gets another password."""
    wanted = call.body(EnableRoot).password if call.content else None
    instance = instance_of(call)
    services = call.services
    services.drivers.require(instance.datastore.datastore, Capability.SUPERUSER)
    if not services.allows_superuser:
        raise Refused(
            "superuser-not-isolated",
            "The superuser is off: all instances of this installation run as one operating system user, whose files it "
            "could reach. An operator may allow it with `allow_shared_superuser = true` in [local] of the settings.",
            status=422,
        )
    check_databases_reachable(instance)
    control = services.drivers.control(instance.datastore.datastore)
    password = wanted or Secret("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)))
    check_password(control, password)
    ref = uuid4()
    operation_id = start_on(
        call, ENABLE_SUPERUSER, instance.id, SuperuserArguments(secret_ref=ref), {ref: password}
    )
    services.endings.require(operation_id, _WAIT_S)
    state = services.queries.ask(instance, SUPERUSER_STATUS, Nothing())
    return JsonResponse({"user": {"name": state.name, "password": password.reveal_text()}})


def disable(call: Call) -> Response:
    """Have it gone."""
    instance = instance_of(call)
    if not instance.superuser_enabled:
        raise NotFound("root of instance", instance.id)
    check_databases_reachable(instance)
    operation_id = start_on(call, DISABLE_SUPERUSER, instance.id, NoArguments())
    call.services.endings.require(operation_id, _WAIT_S)
    return no_content()


_ROOT = "/instances/{instance_id}/root"
ROUTES = (
    Route("GET", _ROOT, "instance:extension:root:index", show),
    Route("POST", _ROOT, "instance:extension:root:create", enable),
    Route("DELETE", _ROOT, "instance:extension:root:delete", disable),
)
