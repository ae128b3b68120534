"""What every cloud promises."""

from uuid import uuid4

import pytest
from tests.support.clouds import eventually, is_gone, port_for, server_for, servers_of, volume_for, wait_until

from muniment.cloud.cloud import Cloud, CloudRefused
from muniment.cloud.recipes import Condition, Kind, Tag


def test_what_was_created_is_found_by_its_tag(cloud: Cloud) -> None:
    """A volume is found by kind and tag, and has the id it was created with."""
    instance = uuid4()
    made = eventually(cloud, cloud.create(volume_for(instance)))
    found = cloud.find(Kind.VOLUME, Tag(instance, "volume"))
    assert [resource.id for resource in found] == [made.id]


def test_a_volume_grows_and_never_shrinks(cloud: Cloud) -> None:
    """A volume in use has the new size after a while; asked for less, or for the same again, it stays as it is."""
    instance = uuid4()
    servers_of(cloud, instance)
    (volume,) = cloud.find(Kind.VOLUME, Tag(instance, "volume"))
    sizes = [volume.size_gib]
    for size_gib in (3, 3, 2):
        sizes.append(eventually(cloud, cloud.extend(volume.id, size_gib)).size_gib)
    assert sizes == [1, 3, 3, 3]
    found = cloud.get(Kind.VOLUME, volume.id)
    assert found is not None
    assert found.size_gib == 3


def test_a_volume_that_is_gone_does_not_grow(cloud: Cloud) -> None:
    """It is refused for good, and nothing comes to be."""
    with pytest.raises(CloudRefused) as refused:
        cloud.extend(str(uuid4()), 3)
    assert not refused.value.retryable
    assert not list(cloud.tagged())


def test_nothing_is_found_under_another_tag(cloud: Cloud) -> None:
    """Neither another role nor another instance finds a volume."""
    instance = uuid4()
    cloud.create(volume_for(instance))
    assert not cloud.find(Kind.VOLUME, Tag(instance, "other"))
    assert not cloud.find(Kind.VOLUME, Tag(uuid4(), "volume"))
    assert not cloud.find(Kind.PORT, Tag(instance, "volume"))


def test_unknown_ids_are_gone(cloud: Cloud) -> None:
    """An id that no resource has is answered with None, odd ones too, and deleting it succeeds."""
    for resource_id in (str(uuid4()), "", "..", "a/b"):
        assert cloud.get(Kind.VOLUME, resource_id) is None
        cloud.delete(Kind.VOLUME, resource_id)


def test_a_port_has_an_endpoint(cloud: Cloud) -> None:
    """A healthy port says where clients reach it, on the default network."""
    port = eventually(cloud, cloud.create(port_for(uuid4())))
    assert port.endpoint is not None
    assert port.endpoint.address
    assert port.endpoint.network_id in {network.id for network in cloud.networks() if network.is_default}


def test_two_ports_never_share_an_endpoint(cloud: Cloud) -> None:
    """Ports that ask for the same number differ in address or number."""
    ports = [eventually(cloud, cloud.create(port_for(uuid4()))) for _ in range(5)]
    places = {(port.endpoint.address, port.endpoint.port) for port in ports if port.endpoint is not None}
    assert len(places) == 5


def test_a_server_becomes_healthy(cloud: Cloud) -> None:
    """A server that was created is healthy after a while."""
    assert servers_of(cloud, uuid4()).condition is Condition.HEALTHY


def test_a_used_volume_is_not_deleted(cloud: Cloud) -> None:
    """A volume and a port stay while their server is there, and go after it."""
    instance = uuid4()
    server = servers_of(cloud, instance)
    (volume,) = cloud.find(Kind.VOLUME, Tag(instance, "volume"))
    (port,) = cloud.find(Kind.PORT, Tag(instance, "port"))
    for resource in (volume, port):
        with pytest.raises(CloudRefused):
            cloud.delete(resource.kind, resource.id)
    cloud.delete(Kind.SERVER, server.id)
    wait_until(lambda: is_gone(cloud, Kind.SERVER, server.id), "the server is gone")
    for resource in (volume, port):
        cloud.delete(resource.kind, resource.id)
        wait_until(lambda resource=resource: is_gone(cloud, resource.kind, resource.id), "it is gone")


def test_deleting_twice_is_a_success(cloud: Cloud) -> None:
    """A second delete of the same volume does nothing."""
    volume = eventually(cloud, cloud.create(volume_for(uuid4())))
    cloud.delete(Kind.VOLUME, volume.id)
    cloud.delete(Kind.VOLUME, volume.id)
    wait_until(lambda: is_gone(cloud, Kind.VOLUME, volume.id), "the volume is gone")


def test_a_server_without_its_volume_is_refused(cloud: Cloud) -> None:
    """A server that names a volume that is gone is refused, and none is found afterwards."""
    instance = uuid4()
    volume = eventually(cloud, cloud.create(volume_for(instance)))
    port = eventually(cloud, cloud.create(port_for(instance)))
    cloud.delete(Kind.VOLUME, volume.id)
    wait_until(lambda: is_gone(cloud, Kind.VOLUME, volume.id), "the volume is gone")
    with pytest.raises(CloudRefused):
        cloud.create(server_for(instance, volume, port))
    assert not cloud.find(Kind.SERVER, Tag(instance, "server"))


def test_everything_is_tagged(cloud: Cloud) -> None:
    """The reconciler's listing holds every resource with its tag and its age."""
    instance = uuid4()
    server = servers_of(cloud, instance)
    listed = {resource.kind: resource for resource in cloud.tagged() if resource.tag.instance_id == instance}
    assert set(listed) == set(Kind)
    assert listed[Kind.SERVER].id == server.id
    assert all(resource.created_at_s > 0 for resource in listed.values())


def test_flavors_come_smallest_first(cloud: Cloud) -> None:
    """Flavors are ordered by memory, with unique ids."""
    flavors = cloud.flavors()
    assert [flavor.ram_mib for flavor in flavors] == sorted(flavor.ram_mib for flavor in flavors)
    assert len({flavor.id for flavor in flavors}) == len(flavors)
