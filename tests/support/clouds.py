"""Recipes and waits for tests of clouds."""

import time
from uuid import UUID

from muniment.cloud.cloud import Cloud
from muniment.cloud.recipes import (
    CloudResource,
    Condition,
    GuestSeed,
    Kind,
    PortRecipe,
    ServerRecipe,
    Tag,
    VolumeRecipe,
)
from muniment.secret import Secret

__all__ = ["eventually", "port_for", "server_for", "servers_of", "volume_for", "wait_until"]


def volume_for(instance: UUID) -> VolumeRecipe:
    """A volume of one GiB."""
    return VolumeRecipe(tag=Tag(instance, "volume"), size_gib=1)


def port_for(instance: UUID, port: int = 15_432) -> PortRecipe:
    """A port on the default network."""
    return PortRecipe(tag=Tag(instance, "port"), network_id=None, port=port)


def server_for(instance: UUID, volume: CloudResource, port: CloudResource) -> ServerRecipe:
    """A server with these attached."""
    seed = GuestSeed(
        instance_id=instance, key_epoch=1, token=Secret("a token"), datastore="postgresql", memory_mib=256
    )
    return ServerRecipe(
        tag=Tag(instance, "server"),
        flavor_id="1",
        memory_mib=256,
        vcpus=1,
        volume_id=volume.id,
        port_id=port.id,
        seed=seed,
    )


def servers_of(cloud: Cloud, instance: UUID) -> CloudResource:
    """Volume, port and server of an instance; the server, once it is healthy."""
    volume = eventually(cloud, cloud.create(volume_for(instance)))
    port = eventually(cloud, cloud.create(port_for(instance)))
    return eventually(cloud, cloud.create(server_for(instance, volume, port)))


def eventually(cloud: Cloud, resource: CloudResource, limit_s: float = 20.0) -> CloudResource:
    """The resource once it is no longer being built."""
    deadline_s = time.monotonic() + limit_s
    while resource.condition is Condition.BUILDING:
        assert time.monotonic() < deadline_s, f"{resource.kind} {resource.id} is not built in {limit_s} s"
        time.sleep(0.01)
        seen = cloud.get(resource.kind, resource.id)
        assert seen is not None
        resource = seen
    return resource


def wait_until(is_true, what: str, limit_s: float = 20.0) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < deadline_s, f"not in {limit_s} s: {what}"
        time.sleep(0.01)


def is_gone(cloud: Cloud, kind: Kind, resource_id: str) -> bool:
    """Whether the cloud confirms it."""
    return cloud.get(kind, resource_id) is None
