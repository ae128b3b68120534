"""The clouds that the contract is tried on."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from tests.simulation.chance import Chance
from tests.simulation.cloud import SimulatedCloud
from tests.support.agent_stand_in import install_stand_in
from tests.support.scratch import short_directory

from muniment.clock import SystemClock
from muniment.cloud.cloud import Cloud
from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.cloud.recipes import Kind


@pytest.fixture
def place() -> Iterator[Path]:
    """A short directory that is gone afterwards."""
    with short_directory() as folder:
        yield folder


@pytest.fixture
def local_cloud(place: Path) -> Iterator[LocalCloud]:
    """The cloud of this machine, volumes as directories, with a stand-in for the agent."""
    layout = Layout(root=place / "cloud", run=place / "run", gateway_file=place / "gateway")
    cloud = LocalCloud(
        layout,
        LocalCloudSettings(),
        SystemClock(),
        agent_python=install_stand_in(place),
        why_no_images=lambda folder: "directories are enough here",
    )
    yield cloud
    for server in cloud.tagged():
        if server.kind is Kind.SERVER:
            cloud.delete(Kind.SERVER, server.id)
    cloud.tend()


@pytest.fixture
def simulated_cloud() -> SimulatedCloud:
    """The simulator's cloud, in which nothing goes wrong; each look at its clock is a second."""
    random, ticks = Random(1), count(1)
    return SimulatedCloud(
        Chance(random),
        now_s=lambda: float(next(ticks)),
        new_id=lambda: UUID(int=random.getrandbits(128), version=4),
        pass_time=lambda passed_s: None,
    )


@pytest.fixture(params=["local", "simulated"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Every cloud that there is."""
    found: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    return found
