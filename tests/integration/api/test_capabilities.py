"""What a datastore's driver lacks is refused with 422 and the capability's name, before anything is recorded (D-32)."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from tests.support.faults import told
from tests.support.rest_world import RestWorld

from muniment.contract.manifest import Capability, Manifest
from muniment.domain.drivers import Drivers
from muniment_postgresql.control import PostgresqlControl

Quiet = tuple[RestWorld, str]
_CREATE = {"name": "a", "flavorRef": "1", "volume": {"size": 2}}
_USER = {"name": "u", "password": "long-enough-1"}


class Lesser(PostgresqlControl):
    """PostgreSQL's control half without one of its abilities."""

    def __init__(self, lacking: Capability) -> None:
        self._lacking = lacking

    @property
    def manifest(self) -> Manifest:
        """PostgreSQL's, less one capability."""
        whole = super().manifest
        return msgspec.structs.replace(whole, capabilities=whole.capabilities - {self._lacking})


@contextmanager
def _with_drivers(world: RestWorld, drivers: Drivers) -> Iterator[None]:
    before, world.services.drivers = world.services.drivers, drivers
    try:
        yield
    finally:
        world.services.drivers = before


@pytest.mark.parametrize(
    ("capability", "method", "path", "body"),
    [
        (Capability.DATABASES, "GET", "/instances/{}/databases", None),
        (Capability.DATABASES, "GET", "/instances/{}/databases/orders", None),
        (Capability.DATABASES, "DELETE", "/instances/{}/databases/orders", None),
        (Capability.DATABASES, "POST", "/instances/{}/databases", {"databases": [{"name": "x"}]}),
        (Capability.DATABASES, "POST", "/instances", {"instance": {**_CREATE, "databases": [{"name": "x"}]}}),
        (Capability.USERS, "GET", "/instances/{}/users", None),
        (Capability.USERS, "POST", "/instances/{}/users", {"users": [_USER]}),
        (Capability.USERS, "PUT", "/instances/{}/users", {"users": [_USER]}),
        (Capability.USERS, "DELETE", "/instances/{}/users/app", None),
        (Capability.USERS, "GET", "/instances/{}/users/app/databases", None),
        (Capability.USERS, "PUT", "/instances/{}/users/app/databases", {"databases": [{"name": "orders"}]}),
        (Capability.USERS, "POST", "/instances", {"instance": {**_CREATE, "users": [_USER]}}),
        (Capability.SUPERUSER, "POST", "/instances/{}/root", {}),
        (Capability.BACKUP_FULL, "POST", "/backups", {"backup": {"name": "b", "instance": "{}"}}),
    ],
)
def test_what_the_driver_lacks_is_422(
    quiet: Quiet, capability: Capability, method: str, path: str, body: object
) -> None:
    """Each request that needs an ability names it when it is missing."""
    world, instance = quiet
    head = world.ledger.log.head()
    filled = msgspec.json.decode(msgspec.json.encode(body).replace(b'"{}"', b'"%s"' % instance.encode()))
    with _with_drivers(world, Drivers({"postgresql": Lesser(capability)})):
        refused = told(world.call(method, path.format(instance), json=filled))
    assert refused.status == 422
    assert refused.message == f"the driver of datastore postgresql lacks the capability {capability}"
    assert world.ledger.log.head() == head


def test_instance_outlives_its_driver(quiet: Quiet) -> None:
    """Where a driver is not installed any more its instances are still shown; what needs it is 422, a create 404."""
    world, instance = quiet
    with _with_drivers(world, Drivers({})):
        assert world.call("GET", f"/instances/{instance}").status_code == 200
        assert told(world.call("GET", f"/instances/{instance}/databases")).status == 422
        wanted = {**_CREATE, "datastore": {"type": "postgresql"}}
        assert told(world.call("POST", "/instances", json={"instance": wanted})).status == 404
