"""Where the API and the gateway may listen: the API beyond this machine only behind TLS, the gateway not at all."""

import ipaddress
import socket

from muniment.fault import Fault

__all__ = ["refuse_open_gateway", "refuse_open_listening"]


def refuse_open_listening(host: str, *, tls: bool, allow_plain_http: bool) -> None:
    """Check an address before it is bound; for the composition root.

    Raises:
        Fault: other machines would reach it without TLS, and the settings do not say that this is wanted.
    """
    if tls or allow_plain_http or _only_this_machine(host):
        return
    raise Fault(
        "api",
        f"{host or 'every address'} is reached by other machines, and without TLS every password and token would cross "
        "the network readable; listen on 127.0.0.1, set a certificate and key, or set api.allow_plain_http = true",
        retryable=False,
    )


def refuse_open_gateway(host: str, *, setting: str) -> None:
    """Check the gateway's address before it is bound; `setting` is where it comes from, for the message.

    It speaks plain HTTP, and all agents of the local cloud are on this machine, so there is no setting that opens it.

    Raises:
        Fault: other machines would reach it.
    """
    if _only_this_machine(host):
        return
    raise Fault(
        "gateway",
        f"{setting} is {host or 'every address'}, which other machines reach, and the gateway speaks plain HTTP with the "
        "agents of this machine alone; set it to an address such as 127.0.0.1:8778",
        retryable=False,
    )


def _only_this_machine(host: str) -> bool:
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Fault("api", f"{host} is not an address of this machine: {error}", retryable=False) from error
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_loopback for address in found)
