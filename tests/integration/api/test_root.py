"""The tenant's superuser over REST: the answer to enabling it holds a password that is good by then."""

from uuid import UUID

import pytest
from tests.support.faults import told
from tests.support.rest_world import RestWorld

from muniment.contract.errors import Code, GuestError
from muniment_api.endings import Endings


def test_superuser_is_enabled_and_disabled(live_world: RestWorld, instance: str) -> None:
    """false, enabled, true, disabled, false; disabling twice is 404."""
    assert live_world.guests is not None
    path = f"/instances/{instance}/root"
    assert live_world.call("GET", path).json() == {"rootEnabled": False}
    enabled = live_world.call("POST", path)
    password = enabled.json()["user"]["password"]
    assert enabled.json() == {"user": {"name": "root", "password": password}}
    assert len(password) == 36
    assert live_world.guests.engines[UUID(instance)].passwords["root"] == password
    assert live_world.call("GET", path).json() == {"rootEnabled": True}
    disabled = live_world.call("DELETE", path)
    assert (disabled.status_code, disabled.content) == (204, b"")
    assert live_world.call("GET", path).json() == {"rootEnabled": False}
    assert told(live_world.call("DELETE", path)).status == 404


@pytest.mark.parametrize("body", [{}, {"password": None}, {"password": "my-own-password"}])
def test_password_may_be_the_tenants_own(live_world: RestWorld, instance: str, body: dict[str, str]) -> None:
    """A given password is taken, none is made; another request gets another one."""
    first = live_world.call("POST", f"/instances/{instance}/root", json=body).json()["user"]["password"]
    second = live_world.call("POST", f"/instances/{instance}/root", json={}).json()["user"]["password"]
    assert first == body.get("password") or len(first) == 36
    assert first != second


@pytest.mark.parametrize(
    "body", [{"password": ""}, {"password": 7}, {"password": "x\u0000"}, [], {"password": "x" * 2000}]
)
def test_bad_password_is_400(quiet: tuple[RestWorld, str], body: object) -> None:
    """The driver decides about passwords before anything is recorded."""
    world, instance = quiet
    head = world.ledger.log.head()
    assert told(world.call("POST", f"/instances/{instance}/root", json=body)).status == 400
    assert world.ledger.log.head() == head


def test_superuser_that_would_reach_others_is_refused(quiet: tuple[RestWorld, str]) -> None:
    """Where engines are not isolated from each other, enabling is 422 and names the setting that allows it."""
    world, instance = quiet
    world.services.allows_superuser = False
    refused = told(world.call("POST", f"/instances/{instance}/root"))
    world.services.allows_superuser = True
    assert refused.status == 422
    assert "allow_shared_superuser" in refused.message


def test_silent_guest_is_noticed_before_anything_is_done(live_world: RestWorld, instance: str) -> None:
    """A guest that does not answer is a 503 within seconds, and no operation was started."""
    assert live_world.guests is not None
    live_world.guests.silent = True
    head = live_world.ledger.log.head()
    assert told(live_world.call("POST", f"/instances/{instance}/root")).status == 503
    assert live_world.ledger.log.head() == head


def test_superuser_of_which_no_history_tells_is_disabled(live_world: RestWorld, instance: str) -> None:
    """A guest that made one and was not heard of again: the engine is asked, so that its owner can have it gone."""
    assert live_world.guests is not None
    engine = live_world.guests.engines[UUID(instance)]
    engine.has_superuser = True
    assert live_world.call("GET", f"/instances/{instance}/root").json() == {"rootEnabled": False}
    assert live_world.call("DELETE", f"/instances/{instance}/root").status_code == 204
    assert not engine.has_superuser
    assert told(live_world.call("DELETE", f"/instances/{instance}/root")).status == 404


def test_superuser_that_is_on_its_way_is_disabled_after_it(live_world: RestWorld, instance: str) -> None:
    """A disabling that is asked for while an enabling runs comes after it in the line."""
    assert live_world.guests is not None
    live_world.services.endings = Endings(live_world.ledger, limit_s=0.05)
    live_world.guests.holds.add("superuser.enable")
    for method in ("POST", "DELETE"):
        assert told(live_world.call(method, f"/instances/{instance}/root")).status == 503
    live_world.guests.holds.clear()
    live_world.settle()
    ended = live_world.call("GET", f"/operations?instance_id={instance}").json()["operations"]
    kinds = {operation["kind"]: operation["status"] for operation in ended}
    assert (kinds["enable_superuser"], kinds["disable_superuser"]) == ("succeeded", "succeeded")
    assert not live_world.guests.engines[UUID(instance)].has_superuser


def test_silence_does_not_count_as_no_superuser(live_world: RestWorld, instance: str) -> None:
    """Whether there is one to disable is not known then: 503, not 404, and nothing was started."""
    assert live_world.guests is not None
    live_world.guests.silent = True
    head = live_world.ledger.log.head()
    assert told(live_world.call("DELETE", f"/instances/{instance}/root")).status == 503
    assert live_world.ledger.log.head() == head


def test_operation_that_takes_longer_goes_on(live_world: RestWorld, instance: str) -> None:
    """Past the limit the answer is 503 with the operation's id, under which its end is seen."""
    assert live_world.guests is not None
    live_world.services.endings = Endings(live_world.ledger, limit_s=0.05)
    live_world.guests.holds.add("superuser.enable")
    refused = told(live_world.call("POST", f"/instances/{instance}/root"))
    assert refused.status == 503
    operation = refused.message.partition("/operations/")[2]
    live_world.guests.holds.clear()
    live_world.settle()
    shown = live_world.call("GET", f"/operations/{operation}").json()["operation"]
    assert (shown["kind"], shown["status"]) == ("enable_superuser", "succeeded")


def test_failed_operation_is_told_without_its_insides(live_world: RestWorld, instance: str) -> None:
    """When the engine fails the answer says that, and the superuser is not enabled."""
    assert live_world.guests is not None
    live_world.guests.errors["superuser.enable"] = GuestError(code=Code.INTERNAL, message="inner words")
    failed = told(live_world.call("POST", f"/instances/{instance}/root"))
    assert failed.status == 500
    assert "the superuser could not be enabled" in failed.message
    assert "inner words" not in failed.message
    assert live_world.call("GET", f"/instances/{instance}/root").json() == {"rootEnabled": False}
