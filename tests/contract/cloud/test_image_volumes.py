"""When volumes are images, when directories, and when there is none yet: only what does not pass makes directories."""

import errno
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.clouds import volume_for

from muniment.clock import SystemClock
from muniment.cloud.cloud import CloudRefused
from muniment.cloud.local import mounts
from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.mounts import can_mount_images
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.fault import Fault


def _cloud(place: Path, ask: Callable[[Path], str]) -> LocalCloud:
    layout = Layout(root=place / "cloud", run=place / "run", gateway_file=place / "gateway")
    return LocalCloud(
        layout, LocalCloudSettings(), SystemClock(), agent_python=place / "nothing", why_no_images=ask
    )


@pytest.mark.parametrize(("answer", "is_image"), [("", True), ("only root may", False)])
def test_a_reason_that_may_pass_is_asked_again(place: Path, answer: str, is_image: bool) -> None:
    """While nobody can tell, the volume is refused to be tried again; then the answer counts, and is not asked for twice."""
    answers: list[Fault | str] = [Fault("cloud", "no loop device is free"), answer]

    def ask(folder: Path) -> str:
        found = answers.pop(0)
        if isinstance(found, Fault):
            raise found
        return found

    cloud = _cloud(place, ask)

    with pytest.raises(CloudRefused, match="no loop device is free") as refused:
        cloud.create(volume_for(uuid4()))

    assert refused.value.retryable
    assert list(cloud.volumes.shelf.folder.iterdir()) == []
    for _ in range(2):
        record = cloud.volumes.shelf.get(cloud.create(volume_for(uuid4())).id)
        assert record is not None
        assert record.is_image is is_image


def _without_loop_control(place: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mounts, "_LOOP_CONTROL", str(place / "none"))


def _without_programs(place: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PATH", str(place))


def _not_allowed(place: Path, patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    patch.setattr(fcntl, "ioctl", refuse)


def _all_in_use(place: Path, patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(fcntl, "ioctl", refuse)


def _disk_full(place: Path, patch: pytest.MonkeyPatch) -> None:
    programs = place / "programs"
    programs.mkdir()
    for name, script in (("mkfs.xfs", "echo 'No space left on device' >&2; exit 1"), ("losetup", "exit 0")):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


def _gone(place: Path, patch: pytest.MonkeyPatch) -> None:
    (place / "volumes").rmdir()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without_loop_control, "loop devices cannot be used here: .*none"),
        (_not_allowed, "loop devices cannot be used here: .*not permitted"),
        (_without_programs, "mkfs.xfs is not installed"),
    ],
)
def test_what_stays_makes_directories(
    place: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, pytest.MonkeyPatch], None], said: str
) -> None:
    """What this machine lacks is an answer."""
    _be_able(place)
    spoil(place, monkeypatch)
    assert re.search(said, can_mount_images(place / "volumes"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_all_in_use, "no loop device is free"),
        (_disk_full, "mkfs.xfs failed: No space left"),
        (_gone, "No such file"),
    ],
)
def test_what_passes_is_no_answer(
    place: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, pytest.MonkeyPatch], None], said: str
) -> None:
    """A bad moment is a fault to be tried again, and nothing of the trial is left."""
    _be_able(place)
    spoil(place, monkeypatch)
    with pytest.raises(Fault, match=said) as fault:
        can_mount_images(place / "volumes")
    assert fault.value.retryable
    assert not list(place.glob("volumes/*"))


def _be_able(place: Path) -> None:
    """Only where it could be done the reason for which it cannot is the one that is tested."""
    (place / "volumes").mkdir()
    if why := can_mount_images(place / "volumes"):
        pytest.skip(why)
