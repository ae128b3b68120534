"""Tell the supervisor of this process (systemd, if it is a unit) how far it is, when it is ready and when it stops."""

import socket
from collections.abc import Mapping
from typing import Final

from muniment_cli.failure import Failure

__all__ = ["READY", "STOPPING", "tell_stage", "tell_supervisor"]

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


def tell_stage(doing: str, environment: Mapping[str, str]) -> None:
    """Give a sign of life while it starts: what it is `doing` now, in a few words.

    A supervisor hears it as its status, which `systemctl status` shows; its journal, which dates every line, is spared.
    Otherwise it is a line of the output: standard error is for what goes wrong. Raises as `tell_supervisor`.
    """
    if environment.get(_VARIABLE):
        tell_supervisor(f"STATUS={doing}", environment)
    else:
        print(f"{doing} ...", flush=True)
