"""Images: found or pulled, and held by what they are rather than by a name that may move."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Job
from muniment_guest.files import write_durably
from muniment_guest.runtimes.docker.engine import Engine, NotFound, asked

__all__ = ["Image", "Images", "resolve"]

log = structlog.get_logger()


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is here."""

    reference: str
    """What was asked for."""
    id: str
    digest: str
    """By which its registry knows it; the id where it was built here and never came from one."""


class Images:
    """The image of one server: remembered, so that a start after a restart of the agent takes the very same."""

    def __init__(self, note: Path) -> None:
        """Remember it in the file `note`."""
        self._note = note

    def have(self, engine: Engine, reference: str, digest: str | None, job: Job | None) -> Image:
        """The image of that reference, of that digest if one is given; pulled where it is not here.

        The reference is resolved by a job, which installs; anything else takes what was installed.

        Raises:
            OpFailed: `image_unavailable`, retryable.
        """
        known = self._known()
        if job is None and known is not None and known.reference == reference:
            digest = None if known.digest == known.id else known.digest
        name = _named(reference, digest)
        found = _look(engine, reference, name)
        if found is None:
            _pull(engine, name, job)
            found = _look(engine, reference, name)
        if found is None:
            raise OpFailed(Code.IMAGE_UNAVAILABLE, f"{name} was pulled and is not here", retryable=True)
        if found != known:
            write_durably(self._note, msgspec.json.encode(found))
        return found

    def _known(self) -> Image | None:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=Image)
        except FileNotFoundError:
            return None


def resolve(engine: Engine, reference: str) -> str | None:
    """The digest by which the image's registry knows it now. An image that was built here and never came from a registry
    has none; where the registry does not answer, it is that of the image that is here, if one is."""
    name = _named(reference, None)
    here = _look(engine, reference, name)
    if here is not None and here.digest == here.id:
        return None
    with suppress(NotFound, OpFailed), asked(f"{name} cannot be looked up in its registry"):
        return str(engine.inspect_distribution(name)["Descriptor"]["digest"])
    return None if here is None else here.digest


def _named(reference: str, digest: str | None) -> str:
    """The reference as the engine is to be asked: by digest where one is known, else with its tag."""
    name, _, given = reference.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # a port of the registry, or no colon at all
        repository, tag = name, "latest"
    pinned = digest or given
    return f"{repository}@{pinned}" if pinned else f"{repository}:{tag}"


def _look(engine: Engine, reference: str, name: str) -> Image | None:
    try:
        with asked(f"image {name} cannot be looked up", Code.IMAGE_UNAVAILABLE):
            seen: dict[str, Any] = engine.inspect_image(name)
    except NotFound:
        return None
    repository = name.partition("@")[0].rpartition(":")[0] if "@" not in name else name.partition("@")[0]
    digests = [one.partition("@")[2] for one in seen["RepoDigests"] if one.partition("@")[0] == repository]
    return Image(reference=reference, id=seen["Id"], digest=digests[0] if digests else seen["Id"])


def _pull(engine: Engine, name: str, job: Job | None) -> None:
    """Layer by layer, telling the bytes that came."""
    log.info("image pulled", image=name)
    repository, _, tag = name.partition("@") if "@" in name else name.rpartition(":")
    layers: dict[str, tuple[int, int]] = {}
    try:
        with asked(f"{name} cannot be pulled", Code.IMAGE_UNAVAILABLE):
            for said in engine.pull(repository, tag=tag, stream=True, decode=True):
                if "error" in said:
                    message = f"{name} cannot be pulled: {str(said['error'])[:500]}"
                    raise OpFailed(Code.IMAGE_UNAVAILABLE, message, retryable=True)
                if said.get("status") == "Downloading" and (detail := said.get("progressDetail")):
                    layers[said["id"]] = (detail.get("current", 0), detail.get("total", 0))
                    _tell(job, layers, name)
    except NotFound as error:
        message = f"{name} cannot be pulled: its registry has no such image ({str(error.explanation)[:300]})"
        raise OpFailed(Code.IMAGE_UNAVAILABLE, message, retryable=True) from error


def _tell(job: Job | None, layers: dict[str, tuple[int, int]], name: str) -> None:
    if job is not None:
        done, total = (sum(column) for column in zip(*layers.values(), strict=True))
        job.progress("pull", done=done, total=total, unit="bytes", message=name)
