"""The accounts of an instance and what they may use. Lists ask the engine; changes are operations."""

from typing import Annotated
from uuid import uuid4

import msgspec
from starlette.responses import Response

from muniment.contract.control import ControlDriver
from muniment.contract.ops import USER_GET, USER_LIST, Account, GetUser, UserView
from muniment.contract.ops import Page as GuestPage
from muniment.domain.arguments import AlterUserArguments, DropUserArguments, UsersArguments
from muniment.domain.instance import Instance, check_databases_reachable
from muniment.domain.refused import Refused
from muniment.operations.users import ALTER_USER, CREATE_USERS, DROP_USER
from muniment.secret import Secret
from muniment_api.bodies import AccountName, HostPattern
from muniment_api.call import Call
from muniment_api.names import account_in_path, account_text, check_account, check_password, no_duplicates
from muniment_api.paging import listing, page_of
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.starting import start_on
from muniment_api.subjects import instance_of
from muniment_api.wanted import AT_ONCE, UserBody, wanted_users

__all__ = ["ROUTES", "existing_account"]


class CreateUsers(msgspec.Struct, frozen=True):
    """Accounts to create; openstacksdk sends a single one."""

    users: Annotated[list[UserBody], msgspec.Meta(max_length=AT_ONCE)] | UserBody


class NewPassword(msgspec.Struct, frozen=True):
    """Whose password is to change, and to what."""

    name: AccountName
    password: Secret
    host: HostPattern = "%"


class ChangePasswords(msgspec.Struct, frozen=True):
    """Passwords of several accounts."""

    users: Annotated[list[NewPassword], msgspec.Meta(max_length=AT_ONCE)]


class UserChange(msgspec.Struct, frozen=True):
    """What is to change of one account."""

    name: AccountName | None = None
    password: Secret | None = None
    host: HostPattern | None = None


class UpdateUser(msgspec.Struct, frozen=True):
    """A change of one account."""

    user: UserChange


def existing_account(call: Call, instance: Instance) -> tuple[Account, UserView]:
    """The account in the path as the engine has it; refused with 404 when there is none."""
    account = account_in_path(_control(call, instance), call.path("user"))
    check_databases_reachable(instance)
    return account, call.services.queries.ask(instance, USER_GET, GetUser(account=account))


def index(call: Call) -> Response:
    """A page of accounts, by `name@host`."""
    instance = instance_of(call)
    check_databases_reachable(instance)
    page = page_of(call.query, size=call.settings.page_sizes.users)
    marker = (
        None if page.marker is None else account_text(account_in_path(_control(call, instance), page.marker))
    )
    found = call.services.queries.ask(instance, USER_LIST, GuestPage(limit=page.limit, marker=marker))
    next_marker = account_text(found.items[-1].account) if found.more and found.items else None
    return listing(call, "users", [_view(user) for user in found.items], next_marker)


def show(call: Call) -> Response:
    """One account."""
    _, user = existing_account(call, instance_of(call))
    return JsonResponse({"user": _view(user)})


def create(call: Call) -> Response:
    """Create accounts; those that exist already are refused."""
    body = call.body(CreateUsers).users
    _create(call, body if isinstance(body, list) else [body])
    return accepted()


def create_named(call: Call) -> Response:
    """Create the one account that the path names, as openstacksdk does (D-21)."""
    body = call.body(CreateUsers).users
    bodies = body if isinstance(body, list) else [body]
    if len(bodies) != 1 or bodies[0].name != call.path("user").partition("@")[0]:
        raise Refused("bad-request", "The body must describe the one user in the path.", status=400)
    _create(call, bodies)
    return accepted()


def change_passwords(call: Call) -> Response:
    """Change passwords; when one account is unknown nothing changes."""
    body = call.body(ChangePasswords)
    instance = instance_of(call)
    control = _control(call, instance)
    changes = [
        (check_account(control, u.name, u.host), check_password(control, u.password)) for u in body.users
    ]
    no_duplicates("user", changes, lambda change: account_text(change[0]))
    check_databases_reachable(instance)
    for account, _ in changes:
        call.services.queries.ask(instance, USER_GET, GetUser(account=account))
    for part, (account, password) in enumerate(changes):
        change = AlterUserArguments(name=account.name, host=account.host, secret_ref=uuid4())
        _alter(call, instance, change, password, part)
    return accepted()


def update(call: Call) -> Response:
    """Change name, host or password of an account."""
    change = call.body(UpdateUser).user
    if change.name is None and change.password is None and change.host is None:
        raise Refused("bad-request", "Send at least one of name, password and host.", status=400)
    instance = instance_of(call)
    control = _control(call, instance)
    account, _ = existing_account(call, instance)
    target = check_account(control, change.name or account.name, change.host or account.host)
    if change.password is not None:
        check_password(control, change.password)
    if target != account:
        _refuse_existing(call, instance, target)
    arguments = AlterUserArguments(
        name=account.name,
        host=account.host,
        new_name=target.name if target.name != account.name else None,
        new_host=target.host if target.host != account.host else None,
        secret_ref=uuid4() if change.password is not None else None,
    )
    _alter(call, instance, arguments, change.password)
    return accepted()


def delete(call: Call) -> Response:
    """Drop an account."""
    instance = instance_of(call)
    account, _ = existing_account(call, instance)
    start_on(call, DROP_USER, instance.id, DropUserArguments(name=account.name, host=account.host))
    return accepted()


def _create(call: Call, bodies: list[UserBody]) -> None:
    instance = instance_of(call)
    wanted, passwords = wanted_users(call, instance.datastore.datastore, bodies)
    check_databases_reachable(instance)
    for user in wanted:
        _refuse_existing(call, instance, Account(name=user.name, host=user.host))
    if wanted:
        start_on(call, CREATE_USERS, instance.id, UsersArguments(users=wanted), passwords)


def _alter(
    call: Call, instance: Instance, arguments: AlterUserArguments, password: Secret | None, part: int = 0
) -> None:
    passwords = {} if password is None or arguments.secret_ref is None else {arguments.secret_ref: password}
    start_on(call, ALTER_USER, instance.id, arguments, passwords, part=part)


def _refuse_existing(call: Call, instance: Instance, account: Account) -> None:
    try:
        call.services.queries.ask(instance, USER_GET, GetUser(account=account))
    except Refused as refused:
        if refused.status == 404:
            return
        raise
    raise Refused("exists", f"user {account_text(account)!r} exists already", status=400)


def _control(call: Call, instance: Instance) -> ControlDriver:
    return call.services.drivers.control(instance.datastore.datastore)


def _view(user: UserView) -> dict[str, object]:
    return {
        "name": user.account.name,
        "host": user.account.host or "%",
        "databases": [{"name": name} for name in user.databases],
    }


_USERS = "/instances/{instance_id}/users"
ROUTES = (
    Route("GET", _USERS, "instance:extension:user:index", index),
    Route("POST", _USERS, "instance:extension:user:create", create),
    Route("PUT", _USERS, "instance:extension:user:update_all", change_passwords),
    Route("GET", _USERS + "/{user}", "instance:extension:user:show", show),
    Route("POST", _USERS + "/{user}", "instance:extension:user:create", create_named),
    Route("PUT", _USERS + "/{user}", "instance:extension:user:update", update),
    Route("DELETE", _USERS + "/{user}", "instance:extension:user:delete", delete),
)
