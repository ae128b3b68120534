"""`python -m muniment_guest.runtimes.docker.clear --socket S --instance ID`: nothing of an instance is left in Docker.

For whoever takes a server away whose agent is gone: its containers, running or not, and its network. Exit codes: 0 nothing is
left, 1 something is, with the reason.
"""

import argparse
import sys
from contextlib import suppress
from uuid import UUID

from muniment.contract.errors import OpFailed
from muniment_guest.runtimes.docker.engine import NotFound, asked, of_instance, open_engine
from muniment_guest.runtimes.docker.network import remove_network

__all__ = ["clear", "main"]


def clear(socket: str, instance_id: UUID) -> None:
    """Remove the containers and the network of an instance.

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


def main() -> int:
    """Clear; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m muniment_guest.runtimes.docker.clear")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--instance", type=UUID, required=True)
    options = parser.parse_args()
    try:
        clear(options.socket, options.instance)
    except OpFailed as failed:
        print(failed.error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
