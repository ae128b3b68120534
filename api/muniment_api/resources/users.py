"""The accounts of an instance and what they may use. Lists ask the engine; changes are operations."""

from typing import Annotated
from uuid import uuid4

import msgspec
from starlette.responses import Response

from muniment.contract.control import ControlDriver
from muniment.contract.manifest import Capability
from muniment.contract.ops import USER_GET, USER_LIST, Account, GetUser, UserView
from muniment.contract.ops import Page as GuestPage
from muniment.domain.accounts import accepted_users
from muniment.domain.arguments import AlterUserArguments, DropUserArguments, UsersArguments
from muniment.domain.instance import OCCUPANTS_MAX, Instance
from muniment.domain.names import account_text, check_account, check_password, no_duplicates
from muniment.domain.refused import NotFound, Refused
from muniment.operations.users import ALTER_USER, CREATE_USERS, DROP_USER
from muniment.secret import Secret
from muniment_api.bodies import AccountName, HostPattern
from muniment_api.call import Call
from muniment_api.live import every_item
from muniment_api.names import account_in_path
from muniment_api.paging import listing, page_of
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.starting import Order, start_on
from muniment_api.subjects import reachable_instance
from muniment_api.waiting import Waiting
from muniment_api.wanted import AT_ONCE, UserBody, wanted_users

__all__ = ["ROUTES", "existing_account"]


class CreateUsers(msgspec.Struct, frozen=True):
    """Accounts to create; openstacksdk sends a single one."""

    users: Annotated[list[UserBody], msgspec.Meta(max_length=AT_ONCE)] | UserBody


class NewPassword(msgspec.Struct, frozen=True):
    """Whose password is to change, and to what."""

    name: AccountName
    password: Secret
    host: HostPattern | None = None


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


def existing_account(call: Call, instance: Instance) -> Waiting[tuple[Account, UserView]]:
    """The account in the path as the engine has it; refused with 404 when there is none."""
    account = account_in_path(_control(call, instance), call.path("user"))
    user = yield from call.services.queries.ask(instance, USER_GET, GetUser(account=account))
    return account, user


def index(call: Call) -> Waiting[Response]:
    """A page of accounts, by `name@host`."""
    instance = _instance(call)
    page = page_of(call.query, size=call.settings.page_sizes.users)
    marker = (
        None if page.marker is None else account_text(account_in_path(_control(call, instance), page.marker))
    )
    found = yield from call.services.queries.ask(
        instance, USER_LIST, GuestPage(limit=page.limit, marker=marker)
    )
    next_marker = account_text(found.items[-1].account) if found.more and found.items else None
    return listing(call, "users", [_view(user) for user in found.items], next_marker)


def show(call: Call) -> Waiting[Response]:
    """One account."""
    _, user = yield from existing_account(call, _instance(call))
    return JsonResponse({"user": _view(user)})


def create(call: Call) -> Waiting[Response]:
    """Create accounts; those that exist already are refused."""
    body = call.body(CreateUsers).users
    yield from _create(call, body if isinstance(body, list) else [body])
    return accepted()


def create_named(call: Call) -> Waiting[Response]:
    """Create the one account that the path names, as openstacksdk does (D-21)."""
    body = call.body(CreateUsers).users
    bodies = body if isinstance(body, list) else [body]
    if len(bodies) != 1 or bodies[0].name != call.path("user").partition("@")[0]:
        raise Refused("bad-request", "The body must describe the one user in the path.", status=400)
    yield from _create(call, bodies)
    return accepted()


def change_passwords(call: Call) -> Waiting[Response]:
    """Change passwords; when one account is unknown nothing changes."""
    body = call.body(ChangePasswords)
    if len(body.users) > OCCUPANTS_MAX:
        raise Refused(
            "too-many",
            f"The request changes {len(body.users)} passwords and may change {OCCUPANTS_MAX}: each is an operation, and an "
            "instance may have no more at once. Send them in parts, and wait for the operations of each part.",
            status=400,
        )
    instance = _instance(call)
    control = _control(call, instance)
    changes = [
        (check_account(control, u.name, u.host or "%"), check_password(control, u.password))
        for u in body.users
    ]
    no_duplicates("user", changes, lambda change: account_text(change[0]))
    present = (yield from _present(call, instance)) if changes else set()
    for account, _ in changes:
        if account_text(account) not in present:
            raise NotFound("user", account_text(account))
    wanted = [_alteration(account, password=password) for account, password in changes]
    if wanted:
        start_on(call, ALTER_USER, instance, *wanted)
    return accepted()


def update(call: Call) -> Waiting[Response]:
    """Change name, host or password of an account."""
    change = call.body(UpdateUser).user
    if change.name is None and change.password is None and change.host is None:
        raise Refused("bad-request", "Send at least one of name, password and host.", status=400)
    instance = _instance(call)
    control = _control(call, instance)
    account, _ = yield from existing_account(call, instance)
    target = check_account(control, change.name or account.name, change.host or account.host)
    if change.password is not None:
        check_password(control, change.password)
    if target != account:
        yield from _refuse_taken(call, instance, target)
    start_on(call, ALTER_USER, instance, _alteration(account, target, change.password))
    return accepted()


def delete(call: Call) -> Waiting[Response]:
    """Drop an account."""
    instance = _instance(call)
    account, _ = yield from existing_account(call, instance)
    start_on(call, DROP_USER, instance, Order(DropUserArguments(name=account.name, host=account.host)))
    return accepted()


def _create(call: Call, bodies: list[UserBody]) -> Waiting[None]:
    instance = _instance(call)
    wanted, passwords = wanted_users(bodies)
    wanted = accepted_users(_control(call, instance), wanted, passwords)
    present = (yield from _present(call, instance)) if wanted else set()
    for user in wanted:
        if account_text(Account(name=user.name, host=user.host)) in present:
            raise _taken(Account(name=user.name, host=user.host))
    if wanted:
        start_on(call, CREATE_USERS, instance, Order(UsersArguments(users=wanted), passwords))


def _alteration(account: Account, target: Account | None = None, password: Secret | None = None) -> Order:
    """What makes `account` into `target`, with another password if there is one."""
    target, ref = target or account, uuid4()
    arguments = AlterUserArguments(
        name=account.name,
        host=account.host,
        new_name=target.name if target.name != account.name else None,
        new_host=target.host if target.host != account.host else None,
        secret_ref=None if password is None else ref,
    )
    return Order(arguments, {} if password is None else {ref: password})


def _present(call: Call, instance: Instance) -> Waiting[set[str]]:
    """All accounts that the engine has, as `name@host`: a page of them costs no more than one."""
    queries = call.services.queries
    found = yield from every_item(
        lambda page: queries.ask(instance, USER_LIST, page), lambda user: account_text(user.account)
    )
    return {account_text(user.account) for user in found}


def _refuse_taken(call: Call, instance: Instance, account: Account) -> Waiting[None]:
    try:
        yield from call.services.queries.ask(instance, USER_GET, GetUser(account=account))
    except Refused as refused:
        if refused.status == 404:
            return
        raise
    raise _taken(account)


def _taken(account: Account) -> Refused:
    return Refused("exists", f"user {account_text(account)!r} exists already", status=400)


def _instance(call: Call) -> Instance:
    return reachable_instance(call, Capability.USERS)


def _control(call: Call, instance: Instance) -> ControlDriver:
    return call.services.drivers.control(instance.datastore.datastore)


def _view(user: UserView) -> dict[str, object]:
    return {
        "name": user.account.name,
        "host": user.account.host or "%",
        "databases": [{"name": name} for name in user.databases],
    }


_USERS, _RULE = "/instances/{instance_id}/users", "instance:extension:user"
ROUTES = (
    Route("GET", _USERS, f"{_RULE}:index", index),
    Route("POST", _USERS, f"{_RULE}:create", create),
    Route("PUT", _USERS, f"{_RULE}:update_all", change_passwords),
    Route("GET", _USERS + "/{user}", f"{_RULE}:show", show),
    Route("POST", _USERS + "/{user}", f"{_RULE}:create", create_named),
    Route("PUT", _USERS + "/{user}", f"{_RULE}:update", update),
    Route("DELETE", _USERS + "/{user}", f"{_RULE}:delete", delete),
)
