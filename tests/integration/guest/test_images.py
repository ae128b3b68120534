"""Images from a registry of our own: pulled with progress, held by digest, missing in clear words."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.containers import SOCKET, docker_tests
from tests.support.postgresql_host import QuietJob, free_port

from muniment.contract.errors import Code, OpFailed
from muniment_guest.processes import wait_until
from muniment_guest.runtimes.docker.engine import Engine, open_engine
from muniment_guest.runtimes.docker.images import Images, resolve

pytestmark = [
    *docker_tests(None),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="takes the program docker-registry"),
]

_SERVES = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Registry:
    """A real one, on loopback, where Docker needs no TLS."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.repository = f"127.0.0.1:{self.port}/toy"
        config = folder / "registry.yml"
        config.write_text(_SERVES.format(root=folder / "images", port=self.port))
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert wait_until(lambda: _answers(self.port), 10)

    def push(self, engine: Engine, tag: str) -> str:
        """A new image of a few megabytes under this tag, in the registry and not here; its digest."""
        engine.import_image_from_data(_root(), repository=self.repository, tag=tag)
        said = list(engine.push(self.repository, tag=tag, stream=True, decode=True))
        digests = [line["aux"]["Digest"] for line in said if "aux" in line]
        engine.remove_image(f"{self.repository}:{tag}", force=True)
        return str(digests[0])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


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
def registry(tmp_path: Path, engine: Engine) -> Iterator[Registry]:
    made = Registry(tmp_path)
    yield made
    made.stop()
    for image in engine.images(name=made.repository):
        engine.remove_image(image["Id"], force=True)


def test_image_is_pulled_with_progress_and_held_by_digest(
    registry: Registry, engine: Engine, tmp_path: Path
) -> None:
    """A tag that moves afterwards changes nothing for a server that has its image, until it is installed anew."""
    first, reference, job = registry.push(engine, "1"), f"{registry.repository}:1", ToldJob()
    held = Images(tmp_path / "image.json").have(engine, reference, None, job)
    assert held.digest == first
    assert set(job.phases) == {"pull"}

    second = registry.push(engine, "1")
    assert second != first
    engine.pull(registry.repository, tag="1")
    assert Images(tmp_path / "image.json").have(engine, reference, None, None).id == held.id
    assert Images(tmp_path / "image.json").have(engine, reference, None, QuietJob()).digest == second


def test_digest_that_was_registered_is_what_is_pulled(
    registry: Registry, engine: Engine, tmp_path: Path
) -> None:
    """Whatever the tag means by now."""
    reference = f"{registry.repository}:1"
    registered = registry.push(engine, "1")
    assert resolve(engine, reference) == registered
    moved = registry.push(engine, "1")
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


def _answers(port: int) -> bool:
    ended = subprocess.run(["curl", "-fsS", f"http://127.0.0.1:{port}/v2/"], capture_output=True, check=False)
    return ended.returncode == 0


def _root() -> bytes:
    """A root with one file that no other image has."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("toy")
        content = uuid4().bytes + os.urandom(3_000_000)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
