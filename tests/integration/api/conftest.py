"""What the tests of the API share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.rest_world import RestWorld, rest_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RestWorld]:
    """A fresh API over an empty ledger, for tests that write."""
    with rest_world(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def settled_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestWorld]:
    """One API for all tests of a file that only read: PostgreSQL with an active and an inactive version, and a
    datastore without an active one."""
    with rest_world(tmp_path_factory.mktemp("world")) as made:
        made.register("postgresql", "18", number="18.6", default=True)
        made.register("postgresql", "17", number="17.2", active=False)
        made.register("retired", "1", number="1.0", active=False)
        yield made


@pytest.fixture
def open_world(tmp_path: Path) -> Iterator[RestWorld]:
    """A fresh API that offers PostgreSQL; nothing that is asked for ever ends."""
    with rest_world(tmp_path) as made:
        made.register("postgresql", "18", number="18", default=True)
        yield made


@pytest.fixture
def live_world(tmp_path: Path) -> Iterator[RestWorld]:
    """A fresh API that offers PostgreSQL, with a cloud and guests behind it: operations run to their end."""
    with rest_world(tmp_path, with_guests=True) as made:
        made.register("postgresql", "18", number="18", default=True)
        yield made


@pytest.fixture
def instance(live_world: RestWorld) -> str:
    """An active instance of the red project in the live world, with databases `audit` and `orders` and a user `app`."""
    user = {"name": "app", "password": "first-password", "databases": [{"name": "orders"}]}
    made = live_world.made(databases=[{"name": "orders"}, {"name": "audit"}], users=[user])
    live_world.settle()
    return made


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RestWorld, str]]:
    """For all refusals of a file: a live world with an active instance, which none of them may change."""
    with rest_world(tmp_path_factory.mktemp("quiet"), with_guests=True) as made:
        made.register("postgresql", "18", number="18", default=True)
        made.register("postgresql", "17", number="17", active=False)
        user = {"name": "app", "password": "first-password", "databases": [{"name": "orders"}]}
        instance = made.made(databases=[{"name": "orders"}, {"name": "audit"}], users=[user])
        made.settle()
        yield made, instance
