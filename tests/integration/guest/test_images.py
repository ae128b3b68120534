"""Images from a registry of our own: pulled with progress, held by digest, missing in clear words."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.containers import SOCKET, docker_tests
from tests.support.docker_registry import Registry
from tests.support.postgresql_host import QuietJob

from muniment.contract.errors import Code, OpFailed
from muniment_guest.runtimes.docker.engine import Engine, open_engine
from muniment_guest.runtimes.docker.images import Images, resolve

pytestmark = [
    *docker_tests(None),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="takes the program docker-registry"),
]


class ToldJob(QuietJob):
    """A job that remembers what it was told."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def progress(
        self, phase: str, *, done: int = 0, total: int | None = None, unit: str = "", message: str = ""
    ) -> None:
        self.phases.append(phase)
        assert total is not None
        assert 0 <= done <= total


@pytest.fixture
def engine() -> Iterator[Engine]:
    with closing(open_engine(SOCKET)) as made:
        yield made


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path)
    yield made
    made.remove()


def test_image_is_pulled_with_progress_and_held_by_digest(
    registry: Registry, engine: Engine, tmp_path: Path
) -> None:
    """A tag that moves afterwards changes nothing for a server that has its image, until it is installed anew."""
    first, reference, job = registry.push("1"), f"{registry.repository}:1", ToldJob()
    held = Images(tmp_path / "image.json").have(engine, reference, None, job)
    assert held.digest == first
    assert set(job.phases) == {"pull"}

    second = registry.push("1")
    assert second != first
    engine.pull(registry.repository, tag="1")
    assert Images(tmp_path / "image.json").have(engine, reference, None, None).id == held.id
    assert Images(tmp_path / "image.json").have(engine, reference, None, QuietJob()).digest == second


def test_digest_that_was_registered_is_what_is_pulled(
    registry: Registry, engine: Engine, tmp_path: Path
) -> None:
    """Whatever the tag means by now."""
    reference = f"{registry.repository}:1"
    registered = registry.push("1")
    assert resolve(engine, reference) == registered
    moved = registry.push("1")
    assert resolve(engine, reference) == moved
    found = Images(tmp_path / "image.json").have(engine, reference, registered, QuietJob())
    assert found.digest == registered


@pytest.mark.parametrize("gone", ["the tag", "the registry"])
def test_image_that_cannot_be_had_is_named(
    registry: Registry, engine: Engine, tmp_path: Path, gone: str
) -> None:
    """With the reference, and worth another try."""
    if gone == "the registry":
        registry.stop()
    reference = f"{registry.repository}:nothing"
    with pytest.raises(OpFailed, match=f"{reference} cannot be pulled") as failed:
        Images(tmp_path / "image.json").have(engine, reference, None, QuietJob())
    assert failed.value.error.code is Code.IMAGE_UNAVAILABLE
    assert failed.value.error.retryable
    assert resolve(engine, reference) is None
