"""What only the local cloud promises: addresses of their own, detached agents, a certain end, no half resources."""

import errno
import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.agent_stand_in import install_stand_in
from tests.support.clouds import eventually, port_for, servers_of, volume_for, wait_until

from muniment.clock import SystemClock
from muniment.cloud.cloud import CloudRefused
from muniment.cloud.local import shelf
from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.mounts import can_mount_images, is_mounted
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.cloud.recipes import CloudResource, Condition, Kind, PortRecipe, Tag


def _engine_pid(cloud: LocalCloud, server: CloudResource) -> int:
    return int((cloud.servers.shelf.path(server.id) / "state" / "engine.pid").read_text())


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _is_healthy(cloud: LocalCloud, server: CloudResource) -> bool:
    seen = cloud.get(Kind.SERVER, server.id)
    return seen is not None and seen.condition is Condition.HEALTHY


def _agent_pid(cloud: LocalCloud, server: CloudResource) -> int:
    record = cloud.servers.shelf.get(server.id)
    assert record is not None
    wait_until(lambda: cloud.servers.agent_pid(record) is not None, "the agent has written its number")
    pid = cloud.servers.agent_pid(record)
    assert pid is not None
    return pid


def test_each_port_has_the_standard_number(local_cloud: LocalCloud) -> None:
    """Ports that ask for the same number get it, on loopback addresses of their own."""
    ports = [local_cloud.create(port_for(uuid4())) for _ in range(3)]
    assert {port.endpoint.port for port in ports if port.endpoint} == {15_432}
    assert all(port.endpoint is not None and port.endpoint.address.startswith("127.0.") for port in ports)


def test_a_number_taken_on_every_address_is_replaced(local_cloud: LocalCloud) -> None:
    """When something listens on all addresses, another free number is taken and recorded."""
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        taken = other.getsockname()[1]
        port = local_cloud.create(port_for(uuid4(), taken))
        assert port.endpoint is not None
        assert port.endpoint.port != taken
        with socket.socket() as trial:
            trial.bind((port.endpoint.address, port.endpoint.port))
    again = local_cloud.get(Kind.PORT, port.id)
    assert again is not None
    assert again.endpoint == port.endpoint


@pytest.mark.parametrize(
    "change", [{"network_id": "another"}, {"allowed_cidrs": ("10.0.0.0/8",)}], ids=["network", "cidrs"]
)
def test_what_it_cannot_do_is_refused(local_cloud: LocalCloud, change: dict[str, object]) -> None:
    """Another network and source rules are refused for good."""
    recipe = {"tag": Tag(uuid4(), "port"), "network_id": None, "port": 15_432, **change}
    with pytest.raises(CloudRefused) as refused:
        local_cloud.create(PortRecipe(**recipe))
    assert not refused.value.retryable


def test_a_killed_agent_is_started_again(local_cloud: LocalCloud) -> None:
    """After a SIGKILL of the agent, tending starts another one; the engine goes on."""
    server = servers_of(local_cloud, uuid4())
    wait_until(lambda: (local_cloud.servers.shelf.path(server.id) / "state/engine.pid").exists(), "engine")
    engine, first = _engine_pid(local_cloud, server), _agent_pid(local_cloud, server)
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        local_cloud.tend()
        return _is_healthy(local_cloud, server) and _agent_pid(local_cloud, server) != first

    wait_until(is_back, "another agent runs")
    assert _runs(engine)


def test_another_control_plane_finds_the_agent(local_cloud: LocalCloud, place: Path) -> None:
    """A cloud opened anew on the same directory sees the agent run and starts no second one."""
    server = servers_of(local_cloud, uuid4())
    agent = _agent_pid(local_cloud, server)
    other = LocalCloud(
        Layout(root=place / "cloud", run=place / "run", gateway_file=place / "gateway"),
        LocalCloudSettings(),
        SystemClock(),
        agent_python=place / "agent-python",
        why_no_images=lambda folder: "no",
    )
    for _ in range(5):
        other.tend()
    assert _agent_pid(other, server) == agent
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: not _runs(agent), "the agent has ended")
    other.tend()
    wait_until(lambda: _is_healthy(other, server), "it is back")
    other.delete(Kind.SERVER, server.id)


def test_a_deleted_server_leaves_nothing_running(local_cloud: LocalCloud) -> None:
    """Delete ends the agent and the engine that it detached, and removes directory and sockets."""
    server = servers_of(local_cloud, uuid4())
    folder = local_cloud.servers.shelf.path(server.id)
    wait_until(lambda: (folder / "state/engine.pid").exists(), "engine")
    engine, agent = _engine_pid(local_cloud, server), _agent_pid(local_cloud, server)
    local_cloud.delete(Kind.SERVER, server.id)
    assert local_cloud.get(Kind.SERVER, server.id) is None
    assert not _runs(engine)
    assert not _runs(agent)
    assert not folder.exists()


def test_an_interrupted_removal_is_finished(local_cloud: LocalCloud) -> None:
    """A server that was marked and not removed is deleting, and tending removes it."""
    server = servers_of(local_cloud, uuid4())
    path = local_cloud.servers.shelf.path(server.id) / "record.json"
    path.write_text(path.read_text().replace('"deleting": false', '"deleting": true'))
    seen = local_cloud.get(Kind.SERVER, server.id)
    assert seen is not None
    assert seen.condition is Condition.DELETING
    local_cloud.tend()
    assert local_cloud.get(Kind.SERVER, server.id) is None


def test_what_a_crash_left_half_made_is_no_resource(local_cloud: LocalCloud, place: Path) -> None:
    """A directory that was being prepared is never seen, and gone when the cloud is opened again."""
    half = place / "cloud" / "volumes" / ".new-something"
    half.mkdir()
    assert not list(local_cloud.tagged())
    local_cloud.volumes.shelf.open()
    assert not half.exists()


def test_other_peoples_processes_are_left_alone(local_cloud: LocalCloud) -> None:
    """A process that only lives beside a server's directory survives the server's end."""
    server = servers_of(local_cloud, uuid4())
    beside = subprocess.Popen(["sleep", "1000"], cwd=local_cloud.servers.shelf.folder)
    try:
        local_cloud.delete(Kind.SERVER, server.id)
        assert beside.poll() is None
    finally:
        beside.kill()
        beside.wait()


def test_a_server_without_an_environment_is_refused(place: Path) -> None:
    """Without the agents' interpreter nothing is made, and the reason says what to do."""
    layout = Layout(root=place / "cloud", run=place / "run", gateway_file=place / "gateway")
    cloud = LocalCloud(layout, LocalCloudSettings(), SystemClock(), agent_python=place / "nothing")
    cloud.volumes._why_no_images = "not tried"
    with pytest.raises(CloudRefused, match="make install"):
        servers_of(cloud, uuid4())
    assert {resource.kind for resource in cloud.tagged()} == {Kind.VOLUME, Kind.PORT}


def test_a_full_disk_refuses_volumes(place: Path) -> None:
    """When less is free than the settings ask for, the volume is refused with both figures."""
    layout = Layout(root=place / "cloud", run=place / "run", gateway_file=place / "gateway")
    settings = LocalCloudSettings(free_bytes_min=2**60)
    cloud = LocalCloud(layout, settings, SystemClock(), agent_python=place / "nothing")
    with pytest.raises(CloudRefused, match="MiB are free") as refused:
        cloud.create(volume_for(uuid4()))
    assert refused.value.for_owner == "No space left on device"


def test_a_disk_that_fills_up_meanwhile_refuses(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that finds no space leaves nothing behind, and the owner may read why."""

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(shelf, "write_durably", full)
    with pytest.raises(CloudRefused, match="No space left") as refused:
        local_cloud.create(volume_for(uuid4()))
    assert refused.value.for_owner == "No space left on device"
    assert list(local_cloud.volumes.shelf.folder.iterdir()) == []


def test_one_change_at_a_time(local_cloud: LocalCloud) -> None:
    """While another call holds the lock, a call is refused in time instead of hanging."""
    with ExitStack() as stack:
        stack.enter_context(local_cloud._changing())
        began_s = time.monotonic()
        with pytest.raises(CloudRefused):
            local_cloud.create(volume_for(uuid4()))
        assert time.monotonic() - began_s < local_cloud.call_limit_s


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_an_image_volume_is_taken_down_with_its_server(place: Path) -> None:
    """As root a volume is an image; what is mounted from it is gone after the server, and so is its loop device."""
    why = can_mount_images(place)
    if why:
        pytest.skip(why)
    layout = Layout(root=place / "cloud", run=place / "run", gateway_file=place / "gateway")
    cloud = LocalCloud(layout, LocalCloudSettings(), SystemClock(), agent_python=install_stand_in(place))
    instance = uuid4()
    volume = eventually(cloud, cloud.create(volume_for(instance)))
    record = cloud.volumes.shelf.get(volume.id)
    assert record is not None
    assert record.is_image
    assert record.engine_uid is not None
    image = cloud.volumes.data(record)
    server = servers_of_volume(cloud, instance, volume)
    mount_point = cloud.servers.shelf.path(server.id) / "mount"
    subprocess.run(["mkfs.xfs", "-q", image], check=True)
    device = subprocess.run(
        ["losetup", "--show", "-f", image], check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run(["mount", device, mount_point], check=True)
    holder = subprocess.Popen(["sleep", "1000"], cwd=mount_point, start_new_session=True)
    cloud.delete(Kind.SERVER, server.id)
    holder.wait()
    assert not is_mounted(mount_point)
    attached = subprocess.run(["losetup", "-j", image], check=True, capture_output=True, text=True).stdout
    assert attached == ""


def servers_of_volume(cloud: LocalCloud, instance, volume: CloudResource) -> CloudResource:
    """A server on this volume."""
    from tests.support.clouds import server_for

    port = eventually(cloud, cloud.create(port_for(instance)))
    return eventually(cloud, cloud.create(server_for(instance, volume, port)))
