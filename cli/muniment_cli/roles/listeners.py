"""The sockets that the control plane listens on: taken before anything is written, so that a taken port changes nothing."""

import errno
import socket

from muniment_cli.failure import BadInput

__all__ = ["address_of", "free_port", "listen", "split"]

_BACKLOG = 512


def split(host_port: str) -> tuple[str, int]:
    """`127.0.0.1:8779` or `[::1]:8779` as host and port.

    Raises:
        BadInput: it is neither.
    """
    host, colon, port = host_port.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65_535:
        raise BadInput(f"{host_port!r} is not HOST:PORT, such as 127.0.0.1:8779")
    return host.strip("[]"), int(port)


def listen(host_port: str, *, setting: str) -> socket.socket:
    """Listen there; `setting` is where the address comes from, for the message.

    Raises:
        BadInput: the port is taken, or the address is not this machine's.
    """
    host, port = split(host_port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise BadInput(
                f"{host_port} is in use by another program; choose another address with {setting}"
            ) from None
        raise BadInput(f"cannot listen on {host_port} ({setting}): {error.strerror or error}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Where it listens, as HOST:PORT."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_port() -> str:
    """A loopback address with a port that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return address_of(trial)
