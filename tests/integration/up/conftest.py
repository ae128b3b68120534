"""Machines for `muniment up`."""

from collections.abc import Iterator

import pytest
from tests.support.machine import GUEST_PYTHON, Machine


@pytest.fixture
def machine() -> Iterator[Machine]:
    """An empty one."""
    made = Machine()
    yield made
    made.remove()


@pytest.fixture
def engines() -> None:
    """The environment of the agents with a real PostgreSQL in it."""
    if not GUEST_PYTHON.exists():
        pytest.skip(".venv-guest is not there; `make install` makes it")
