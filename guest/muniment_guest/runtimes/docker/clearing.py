"""What of an instance is left in Docker, taken away."""

from contextlib import suppress
from uuid import UUID

from muniment_guest.runtimes.docker.engine import NotFound, asked, of_instance, open_engine
from muniment_guest.runtimes.docker.network import remove_network

__all__ = ["clear"]


def clear(socket: str, instance_id: UUID) -> None:
    """Remove the containers of an instance, running or not, and its network.

    Raises:
        OpFailed: something is left.
    """
    engine = open_engine(socket)
    with asked("containers cannot be listed"):
        found = engine.containers(all=True, filters=of_instance(instance_id))
    for container in found:
        with suppress(NotFound), asked("a container cannot be removed"):
            engine.remove_container(container["Id"], force=True, v=True)
    remove_network(engine, instance_id)
