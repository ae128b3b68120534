"""Capability `users`."""

import pytest

from muniment.contract import ops
from muniment.contract.errors import Code
from muniment.contract.kit.client import Client, LoginRefused
from muniment.contract.kit.instance import Instance
from muniment.contract.kit.plugin import NewInstance
from muniment.contract.ops import Account, DatabaseSpec, Page, UserSpec
from muniment.secret import Secret

pytestmark = pytest.mark.capability("users")

PASSWORD = Secret("kit 'pass\" \\word%s")
OTHER = Secret("kit other")


def _user(up: Instance, name: str, *databases: str) -> Account:
    for database in databases:
        up.do(ops.DB_CREATE, DatabaseSpec(name=database))
    account = up.subject.control.check_account(Account(name=name))
    up.do(ops.USER_CREATE, UserSpec(account=account, databases=databases), {"password": PASSWORD})
    return account


def _is_let_in(client: Client, up: Instance, name: str, database: str, password: Secret = PASSWORD) -> bool:
    try:
        client.words(up.login(name, password, database))
    except LoginRefused:
        return False
    return True


def test_a_new_server_lists_nobody(new_instance: NewInstance) -> None:
    """The engine's accounts, the agent's and the superuser are nobody's business."""
    instance = new_instance()
    instance.bring_up()
    if "superuser" in instance.subject.manifest.capabilities:
        instance.do(ops.SUPERUSER_ENABLE, ops.Nothing(), {"password": PASSWORD})

    assert instance.do(ops.USER_LIST, Page()).items == ()


def test_view(up: Instance) -> None:
    """An account is shown as it was made, in its normal form, alone and in the list."""
    account = _user(up, "kit_view", "kit_view_a", "kit_view_b")

    view = up.do(ops.USER_GET, ops.GetUser(account=account))

    assert view == ops.UserView(account=account, databases=("kit_view_a", "kit_view_b"))
    assert view in up.do(ops.USER_LIST, Page()).items


def test_a_word_stored_is_read(up: Instance, client: Client) -> None:
    """A user with a grant can log in and work with its password, and with no other."""
    _user(up, "kit_worker", "kit_work")
    login = up.login("kit_worker", PASSWORD, "kit_work")

    client.store(login, "hello")

    assert "hello" in client.words(login)
    assert not _is_let_in(client, up, "kit_worker", "kit_work", OTHER)


def test_a_later_grant_shares_the_words(up: Instance, client: Client) -> None:
    """What one user stored, another who is granted the database later reads and adds to."""
    _user(up, "kit_first", "kit_shared")
    client.store(up.login("kit_first", PASSWORD, "kit_shared"), "first")
    later = _user(up, "kit_later")
    assert not _is_let_in(client, up, "kit_later", "kit_shared")

    up.do(ops.GRANT_PUT, ops.Grant(account=later, databases=("kit_shared",)))

    client.store(up.login("kit_later", PASSWORD, "kit_shared"), "later")
    assert set(client.words(up.login("kit_first", PASSWORD, "kit_shared"))) >= {"first", "later"}


def test_revoked_is_out(up: Instance, client: Client) -> None:
    """A user whose access is taken away cannot get in; its words stay."""
    account = _user(up, "kit_leaver", "kit_left")
    client.store(up.login("kit_leaver", PASSWORD, "kit_left"), "left")

    up.do(ops.GRANT_REMOVE, ops.GrantRemove(account=account, database="kit_left"))

    assert not _is_let_in(client, up, "kit_leaver", "kit_left")
    _user(up, "kit_heir", "kit_left")
    assert "left" in client.words(up.login("kit_heir", PASSWORD, "kit_left"))


def test_dropped_is_out(up: Instance, client: Client) -> None:
    """A user that owns something is dropped; what it stored stays with the database."""
    account = _user(up, "kit_owner", "kit_owned")
    client.store(up.login("kit_owner", PASSWORD, "kit_owned"), "owned")

    up.do(ops.USER_DROP, ops.DropUser(account=account))

    assert not _is_let_in(client, up, "kit_owner", "kit_owned")
    _user(up, "kit_next", "kit_owned")
    assert "owned" in client.words(up.login("kit_next", PASSWORD, "kit_owned"))


def test_new_password(up: Instance, client: Client) -> None:
    """After a change the new password opens and the old one does not."""
    account = _user(up, "kit_changer", "kit_changed")

    up.do(ops.USER_ALTER, ops.AlterUser(account=account), {"password": OTHER})

    assert _is_let_in(client, up, "kit_changer", "kit_changed", OTHER)
    assert not _is_let_in(client, up, "kit_changer", "kit_changed")


def test_renamed_keeps_password_and_grants(up: Instance, client: Client) -> None:
    """After a rename the new name opens the same databases with the old password."""
    up.do(ops.USER_DROP, ops.DropUser(account=Account(name="kit_after")))
    account = _user(up, "kit_before", "kit_rename")

    up.do(ops.USER_ALTER, ops.AlterUser(account=account, new_name="kit_after"))

    assert _is_let_in(client, up, "kit_after", "kit_rename")
    assert not _is_let_in(client, up, "kit_before", "kit_rename")


def test_renaming_nobody_changes_nobody(up: Instance, client: Client) -> None:
    """Renaming an account that is not there is `not_found`, and the one that has the name keeps its password."""
    _user(up, "kit_stander", "kit_stood")

    code = up.refusal(
        ops.USER_ALTER,
        ops.AlterUser(account=Account(name="kit_ghost"), new_name="kit_stander"),
        {"password": OTHER},
    )

    assert code is Code.NOT_FOUND
    assert _is_let_in(client, up, "kit_stander", "kit_stood")


def test_taken_name(up: Instance) -> None:
    """A name that somebody has is `already_exists`."""
    account = _user(up, "kit_taker")
    _user(up, "kit_taken")

    assert (
        up.refusal(ops.USER_ALTER, ops.AlterUser(account=account, new_name="kit_taken"))
        is Code.ALREADY_EXISTS
    )


def test_unknown_account(up: Instance) -> None:
    """What needs an account says `not_found` without one; dropping it is a success."""
    nobody = Account(name="kit_nobody")

    assert up.refusal(ops.USER_GET, ops.GetUser(account=nobody)) is Code.NOT_FOUND
    assert up.refusal(ops.GRANT_PUT, ops.Grant(account=nobody, databases=())) is Code.NOT_FOUND
    assert up.refusal(ops.GRANT_REMOVE, ops.GrantRemove(account=nobody, database="d")) is Code.NOT_FOUND
    up.do(ops.USER_DROP, ops.DropUser(account=nobody))


def test_pages(up: Instance) -> None:
    """Pages of any size, one after the other, are the whole list in order."""
    for number in range(4):
        _user(up, f"kit_page_{number}")
    everything = [view.account.name for view in up.do(ops.USER_LIST, Page()).items]

    for limit in (1, 3):
        names: list[str] = []
        more = True
        while more:
            page = up.do(ops.USER_LIST, Page(limit=limit, marker=names[-1] if names else None))
            names += [view.account.name for view in page.items]
            more = page.more
        assert names == everything
