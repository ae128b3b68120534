"""What of an instance is left in Docker, taken away."""

from contextlib import closing
from uuid import UUID

from muniment_guest.runtimes.docker.engine import asked, of_instance, open_engine, remove_container
from muniment_guest.runtimes.docker.network import remove_network

__all__ = ["clear"]


def clear(socket: str, instance_id: UUID) -> None:
    """Remove the containers of an instance, running or not, and its network.

    Raises:
        OpFailed: something is left.
    """
    with closing(open_engine(socket)) as engine:
        with asked("containers cannot be listed"):
            found = engine.containers(all=True, filters=of_instance(instance_id))
        for container in found:
            remove_container(engine, container["Id"])
        remove_network(engine, instance_id)
