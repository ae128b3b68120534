"""Shared memory of engines with users of their own: gone with the server, and never the next tenant's."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.agent_stand_in import install_stand_in
from tests.support.clouds import eventually, port_for, server_for, volume_for, wait_until

from muniment.clock import SystemClock
from muniment.cloud.cloud import CloudRefused
from muniment.cloud.local import shared_memory
from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.cloud.recipes import CloudResource, Kind
from muniment.fault import Fault

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="users of their own take root")]

LEAVE_MEMORY = """
ipcmk --shmem 4096 --semaphore 1 --queue
cd /dev/shm
mkdir left-$0 && echo rows > left-$0/segment
echo rows > PostgreSQL.left-$0
ln -s /etc/passwd link-left-$0
"""


@pytest.fixture
def first_uid() -> Iterator[int]:
    """The first of two numbers that nobody else on this machine draws; what they own is gone afterwards."""
    uid = random.randrange(3_000_000_000, 3_900_000_000, 2)
    yield uid
    for each in (uid, uid + 1):
        shared_memory.clear(each)


@pytest.fixture
def cloud(place: Path, first_uid: int) -> Iterator[LocalCloud]:
    """A cloud that has these two numbers to give."""
    cloud = LocalCloud(
        Layout(root=place / "cloud", run=place / "run", gateway_file=place / "gateway"),
        LocalCloudSettings(engine_uid_first=first_uid, engine_uid_last=first_uid + 1),
        SystemClock(),
        agent_python=install_stand_in(place),
        why_no_images=lambda folder: "directories are enough here",
    )
    yield cloud
    for resource in cloud.tagged():
        if resource.kind is Kind.SERVER:
            cloud.delete(Kind.SERVER, resource.id)


def _run_as(uid: int, script: str) -> None:
    """A program that ends and leaves what it made."""
    subprocess.run(["sh", "-ec", script, str(uid)], user=uid, group=uid, check=True, capture_output=True)


def _server(cloud: LocalCloud) -> tuple[CloudResource, CloudResource, int]:
    """A volume, the server on it, and as whom its engine runs."""
    instance = uuid4()
    volume = cloud.create(volume_for(instance))
    server = eventually(cloud, cloud.create(server_for(instance, volume, cloud.create(port_for(instance)))))
    record = cloud.volumes.shelf.get(volume.id)
    assert record is not None
    assert record.engine_uid is not None
    return volume, server, record.engine_uid


def test_it_goes_with_the_server(cloud: LocalCloud) -> None:
    """Files, directories, links, segments, semaphores and queues of the engine's user are gone; another's stay."""
    _, server, uid = _server(cloud)
    _, _, another = _server(cloud)
    for each in (uid, another):
        _run_as(each, LEAVE_MEMORY)
    assert {uid, another} <= shared_memory.owners()

    cloud.delete(Kind.SERVER, server.id)

    assert shared_memory.owners() & {uid, another} == {another}
    assert not list(Path("/dev/shm").glob(f"*left-{uid}"))
    assert len(list(Path("/dev/shm").glob(f"*left-{another}"))) == 3
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize("make", ["echo rows > /dev/shm/PostgreSQL.left-$0", "ipcmk --shmem 4096"])
def test_a_number_that_owns_some_is_not_given_out(cloud: LocalCloud, first_uid: int, make: str) -> None:
    """What a user who is gone left there is never read by the next; when no other number is left, that is said."""
    _run_as(first_uid, make)

    _, _, uid = _server(cloud)

    assert uid == first_uid + 1
    with pytest.raises(CloudRefused, match="owns shared memory still"):
        cloud.create(volume_for(uuid4()))


def test_a_removal_that_leaves_some_is_not_done(
    cloud: LocalCloud, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the program that removes it the server is still there to be deleted, and then it is."""
    _, server, uid = _server(cloud)
    _run_as(uid, "ipcmk --shmem 4096")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(place))
        with pytest.raises(Fault, match="ipcrm did not run"):
            cloud.delete(Kind.SERVER, server.id)
    assert cloud.get(Kind.SERVER, server.id) is not None

    cloud.tend()

    assert cloud.get(Kind.SERVER, server.id) is None
    assert uid not in shared_memory.owners()


def test_that_of_somebody_who_still_works_stays(cloud: LocalCloud) -> None:
    """Another installation may run an engine under the same number: its memory stays, and the number is not given out."""
    volume, server, uid = _server(cloud)
    _run_as(uid, LEAVE_MEMORY)
    stranger = subprocess.Popen(["sleep", "1000"], cwd="/", user=uid, group=uid)
    try:
        cloud.delete(Kind.SERVER, server.id)
        cloud.delete(Kind.VOLUME, volume.id)
        assert uid in shared_memory.owners()
    finally:
        stranger.kill()
        stranger.wait()
    _, _, next_uid = _server(cloud)
    assert next_uid != uid


def test_killed_processes_need_not_be_reaped(cloud: LocalCloud) -> None:
    """A process that is over and whose parent does not look, as in many containers, keeps no memory alive."""
    _, server, uid = _server(cloud)
    _run_as(uid, LEAVE_MEMORY)
    over = subprocess.Popen(["true"], user=uid, group=uid)
    try:
        stat = Path(f"/proc/{over.pid}/stat")
        wait_until(lambda: ") Z " in stat.read_text(), "it is over")
        cloud.delete(Kind.SERVER, server.id)
        assert uid not in shared_memory.owners()
    finally:
        over.wait()
