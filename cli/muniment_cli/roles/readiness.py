"""Tell the supervisor of this process (systemd, if it is a unit) when it is ready and when it stops."""

import socket
from collections.abc import Mapping
from typing import Final

from muniment_cli.failure import Failure

__all__ = ["READY", "STOPPING", "tell_supervisor"]

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"

_VARIABLE: Final = "NOTIFY_SOCKET"


def tell_supervisor(state: str, environment: Mapping[str, str]) -> None:
    """Send a state; without a supervisor that asked for it nothing is done.

    Raises:
        Failure: the supervisor cannot be told, and would wait for ever.
    """
    address = environment.get(_VARIABLE)
    if not address:
        return
    # A name that begins with @ is one of the abstract namespace, which begins with a zero byte.
    place = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(place)
            channel.sendall(state.encode())
    except OSError as error:
        raise Failure(f"the supervisor at {_VARIABLE}={address} cannot be told: {error.strerror}") from error
