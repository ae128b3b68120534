"""Stages for kills."""

from collections.abc import Iterator

import pytest
from tests.kills.stage import Stage
from tests.support.machine import GUEST_PYTHON, Machine


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A machine with a database that has data, and a backup of it; tests leave it so."""
    if not GUEST_PYTHON.exists():
        pytest.skip(".venv-guest is not there; `make install` makes it")
    machine = Machine()
    try:
        made = Stage(machine)
        made.furnish()
        yield made
        made.close()
    finally:
        machine.remove()
