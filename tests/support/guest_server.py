"""A server's directories and the toy driver, for tests of the agent's parts that need real processes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from tests.support.agent_bench import write_server

from muniment_guest.config import Layout, read_config
from muniment_guest.driver import LoadedDriver, load_driver
from muniment_guest.jobs import ProcessJobs
from muniment_guest.processes import ProcessId, is_alive, kill_all

__all__ = ["TOY_JOB", "toy_driver", "toy_layout", "without_engine"]

_HERE = Path(__file__).parent
TOY_JOB = (sys.executable, str(_HERE / "toy_job.py"))


def toy_driver() -> LoadedDriver:
    """The toy driver, found as an installed package is."""
    place = str(_HERE / "toy_driver")
    if place not in sys.path:
        sys.path.append(place)
    return load_driver("muniment.drivers", "toy")


def toy_layout(home: Path) -> Layout:
    """A server of the toy datastore below `home`, its directories made."""
    path = write_server(home, datastore="toy")
    layout = Layout(read_config(path), path)
    layout.make()
    return layout


@contextmanager
def without_engine(layout: Layout) -> Iterator[None]:
    """Afterwards neither the engine nor a job of this server runs, whatever the test did."""
    try:
        yield
    finally:
        ProcessJobs(layout, asked_s=0.1).end_all()
        with suppress(FileNotFoundError, msgspec.DecodeError):
            engine = msgspec.json.decode(layout.engine_pid.read_bytes(), type=ProcessId)
            assert kill_all(lambda: [engine.pid] if is_alive(engine) else [])
