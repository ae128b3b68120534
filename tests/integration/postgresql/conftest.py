"""Engines for the tests of this folder: one that runs for a module, and its cache of programs and templates."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.postgresql_host import running_instance
from tests.support.scratch import short_directory

from muniment_postgresql.guest import PostgresqlGuest


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """Shared by all instances of a run."""
    with short_directory() as folder:
        yield folder


@pytest.fixture(scope="module")
def guest(cache: Path) -> Iterator[PostgresqlGuest]:
    """A running instance that the tests of one module share; each uses names of its own."""
    with running_instance(cache) as instance:
        yield instance
