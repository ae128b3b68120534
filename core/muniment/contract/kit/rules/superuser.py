"""Capability `superuser`."""

import pytest

from muniment.contract import ops
from muniment.contract.kit.client import Client, LoginRefused
from muniment.contract.kit.instance import Instance
from muniment.secret import Secret

pytestmark = pytest.mark.capability("superuser")

FIRST, SECOND = Secret("kit first"), Secret("kit second")


def test_power_comes_and_goes(up: Instance, client: Client) -> None:
    """Enabled it has all power with the newest password; disabled it is out."""
    up.do(ops.SUPERUSER_ENABLE, ops.Nothing(), {"password": FIRST})
    state = up.do(ops.SUPERUSER_ENABLE, ops.Nothing(), {"password": SECOND})
    login = up.login(state.name, SECOND)

    assert client.is_superuser(login)
    with pytest.raises(LoginRefused):
        client.is_superuser(up.login(state.name, FIRST))

    assert not up.do(ops.SUPERUSER_DISABLE, ops.Nothing()).enabled
    assert not up.do(ops.SUPERUSER_STATUS, ops.Nothing()).enabled
    with pytest.raises(LoginRefused):
        client.is_superuser(login)


def test_never_listed(up: Instance) -> None:
    """The superuser is in no listing of users."""
    state = up.do(ops.SUPERUSER_ENABLE, ops.Nothing(), {"password": FIRST})

    names = [view.account.name for view in up.do(ops.USER_LIST, ops.Page()).items]

    assert state.enabled
    assert state.name not in names
