"""The embedded identity: what a proof is worth once the users file has changed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.support.accounts import BLUE, CHEAP, OFFICE, RED, users_file

from muniment.clock import ManualClock
from muniment.domain.refused import Refused
from muniment.secret import Secret
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.identity import Credentials
from muniment_api.auth.logins import Logins
from muniment_api.auth.users import Grant, User, Users, UsersFile


@pytest.fixture
def users(tmp_path: Path) -> UsersFile:
    """A fresh users file."""
    return users_file(tmp_path)


@pytest.fixture
def identity(users: UsersFile) -> EmbeddedIdentity:
    """An identity over it."""
    clock = ManualClock()
    return EmbeddedIdentity(users, clock, logins=Logins(users, clock, cost=CHEAP))


def _edit(users: UsersFile, change: Callable[[User], User | None]) -> None:
    """Edit the file as a person would: every user changed, or dropped."""
    content = msgspec.json.decode(users.path.read_bytes(), type=Users)
    kept = tuple(after for user in content.users if (after := change(user)) is not None)
    users.path.write_bytes(msgspec.json.encode(msgspec.structs.replace(content, users=kept)))


def _alice(identity: EmbeddedIdentity) -> User:
    alice = identity.directory.by_name("alice")
    assert alice is not None
    return alice


def test_proof_of_the_old_password_buys_no_token(users: UsersFile, identity: EmbeddedIdentity) -> None:
    """A password that changes while it is being verified does not lead to a token that survives the change."""
    alice = _alice(identity)
    users.set_password("alice", Secret("changed"), cost=CHEAP)
    with pytest.raises(Refused) as refused:
        identity.issue(alice, RED.id, methods=("password",))
    assert refused.value.status == 401


def test_lost_role_ends_tokens(users: UsersFile, identity: EmbeddedIdentity) -> None:
    """A token ends when the roles of its user change, even if it was for another project."""
    value, _ = identity.issue(_alice(identity), RED.id, methods=("password",))
    _edit(users, lambda user: msgspec.structs.replace(user, grants=user.grants[:1]))
    with pytest.raises(Refused):
        identity.session(value)


def test_removed_user_is_nobody(users: UsersFile, identity: EmbeddedIdentity) -> None:
    """A user that was removed has neither tokens nor a way in."""
    value, _ = identity.issue(_alice(identity), RED.id, methods=("password",))
    _edit(users, lambda user: None if user.name == "alice" else user)
    with pytest.raises(Refused):
        identity.session(value)
    with pytest.raises(Refused):
        asyncio.run(
            identity.log_in(name="alice", user_id=None, password=Secret("alice-secret"), address="::1")
        )


def test_new_grant_counts_at_once(users: UsersFile, identity: EmbeddedIdentity) -> None:
    """A project that was granted while we run can be logged in to."""
    more = Grant(OFFICE.id, ("reader",))
    _edit(
        users,
        lambda user: (
            msgspec.structs.replace(user, grants=(*user.grants, more)) if user.name == "alice" else user
        ),
    )
    _, session = identity.issue(_alice(identity), OFFICE.id, methods=("password",))
    assert session.caller.roles == {"reader"}


@pytest.mark.parametrize(("project", "acts_in"), [(BLUE.id, BLUE.id), (OFFICE.id, RED.id), ("none", RED.id)])
def test_basic_acts_in_a_project_of_its_own(identity: EmbeddedIdentity, project: str, acts_in: str) -> None:
    """HTTP Basic acts in the path's project where the user has a role, else in the default one (and so gets a 403)."""
    credentials = Credentials(
        token=None, authorization=Secret("Basic YWxpY2U6YWxpY2Utc2VjcmV0"), address="::1", project_id=project
    )
    caller = asyncio.run(identity.authenticate(credentials))
    assert (caller.user_name, caller.project_id) == ("alice", acts_in)


def test_bad_token_is_not_rescued_by_basic(identity: EmbeddedIdentity) -> None:
    """A request that shows a void token is refused, whatever else it shows."""
    credentials = Credentials(
        token=Secret("void"),
        authorization=Secret("Basic YWxpY2U6YWxpY2Utc2VjcmV0"),
        address="::1",
        project_id=RED.id,
    )
    with pytest.raises(Refused) as refused:
        asyncio.run(identity.authenticate(credentials))
    assert refused.value.status == 401
