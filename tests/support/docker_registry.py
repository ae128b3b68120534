"""A registry of images on loopback, where Docker needs no TLS."""

import io
import os
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from tests.support.containers import SOCKET
from tests.support.postgresql_host import free_port

from muniment_guest.processes import wait_until
from muniment_guest.runtimes.docker.engine import Engine, open_engine

_SERVES = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Registry:
    """Debian's `docker-registry`, with an image `toy`; `remove` leaves nothing of it, here either."""

    def __init__(self, folder: Path) -> None:
        """Serve from this directory."""
        self.port = free_port()
        self.repository = f"127.0.0.1:{self.port}/toy"
        config = folder / "registry.yml"
        config.write_text(_SERVES.format(root=folder / "images", port=self.port))
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert wait_until(lambda: _answers(self.port), 10)

    def push(self, tag: str) -> str:
        """A new image of a few megabytes under this tag, in the registry and not here; its digest."""
        with closing(open_engine(SOCKET)) as engine:
            return self._push(engine, tag)

    def _push(self, engine: Engine, tag: str) -> str:
        engine.import_image_from_data(_root(), repository=self.repository, tag=tag)
        said = list(engine.push(self.repository, tag=tag, stream=True, decode=True))
        digests = [line["aux"]["Digest"] for line in said if "aux" in line]
        engine.remove_image(f"{self.repository}:{tag}", force=True)
        return str(digests[0])

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        """End it, and remove what was pulled from it."""
        self.stop()
        with closing(open_engine(SOCKET)) as engine:
            for image in engine.images(name=self.repository):
                engine.remove_image(image["Id"], force=True)


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
