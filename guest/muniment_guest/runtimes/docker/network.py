"""The bridge of an engine's container, from which nothing can be reached: clients come in, and only answers go out.

Every instance has a bridge of its own, so that no engine meets another's. One rule for all bridges of ours drops what a
container begins, before it is routed: to the host, to the bridge's own address, to a metadata service, to anywhere.
"""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final
from uuid import UUID

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from muniment.contract.errors import Code, OpFailed
from muniment_guest.runtimes.docker.engine import INSTANCE_LABEL, Engine, asked

__all__ = ["NO_RESOLVER", "ensure_network", "network_name", "remove_network"]

NO_RESOLVER: Final = "192.0.2.1"
"""An address of no machine (RFC 5737): Docker's resolver would look names up for the container, with the host's own."""

_PREFIX: Final = "mun-"
_RANGE: Final = IPv4Network("198.18.0.0/15")
"""For measurements between networks (RFC 2544): neither the internet nor, as a rule, a house uses it."""
_BITS: Final = 29
_TRIES: Final = 64
_RULE: Final = (
    "PREROUTING", "-i", f"{_PREFIX}+", "-m", "conntrack", "--ctstate", "NEW,INVALID", "-j", "DROP",
)  # fmt: skip
_LOCK: Final = Path("/run/lock/muniment-bridges")
_CALL_S: Final = 10


def network_name(instance_id: UUID) -> str:
    """Of the network and of its bridge, which may have 15 characters."""
    return f"{_PREFIX}{instance_id.hex[:11]}"


def ensure_network(engine: Engine, instance_id: UUID) -> str:
    """Have the bridge and the rule; the network's id, since Docker allows two of one name.

    Raises:
        OpFailed: one of them cannot be had; then no engine must run on it.
    """
    with _one_at_a_time():
        _ensure_rule()
        found = _find(engine, instance_id)
        return found[0] if found else _create(engine, instance_id)


def remove_network(engine: Engine, instance_id: UUID) -> None:
    """Have the bridge gone, and the rule with the last one; no container is on it any more."""
    with _one_at_a_time():
        for network in _find(engine, instance_id):
            with asked("the engine's network cannot be removed"):
                engine.remove_network(network)
        if not any(Path("/sys/class/net").glob(f"{_PREFIX}*")):
            while _iptables("-C").returncode == 0:
                _iptables("-D")


def _find(engine: Engine, instance_id: UUID) -> list[str]:
    with asked("networks cannot be listed"):
        return [one["Id"] for one in engine.networks(filters={"label": f"{INSTANCE_LABEL}={instance_id}"})]


def _create(engine: Engine, instance_id: UUID) -> str:
    name = network_name(instance_id)
    there_are = 1 << (_BITS - _RANGE.prefixlen)
    first, step = instance_id.int % there_are, 1 << (32 - _BITS)
    for number in range(first, first + _TRIES):
        subnet = f"{_RANGE[(number % there_are) * step]}/{_BITS}"
        try:
            made = engine.create_network(
                name,
                driver="bridge",
                options={"com.docker.network.bridge.name": name},
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]),
                check_duplicate=True,
                labels={INSTANCE_LABEL: str(instance_id)},
            )
        except APIError as error:
            if "overlaps" in str(error.explanation):
                continue
            message = f"the engine's network cannot be made: {str(error.explanation)[:300]}"
            raise OpFailed(Code.INTERNAL, message, retryable=True) from error
        return str(made["Id"])
    message = f"no free network was found in {_RANGE}"
    raise OpFailed(Code.RESOURCE_EXHAUSTED, message, retryable=True)


def _ensure_rule() -> None:
    if _iptables("-C").returncode == 0:
        return
    done = _iptables("-I")
    if done.returncode != 0:
        message = (
            f"the engine would reach this host, since iptables refuses a rule: {done.stderr.strip()[-300:]}"
        )
        raise OpFailed(Code.PRECONDITION_FAILED, message, retryable=True)


def _iptables(how: str) -> "subprocess.CompletedProcess[str]":
    argv = ["iptables", "--wait", "-t", "mangle", how, *_RULE]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_CALL_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        message = (
            f"iptables, without which an engine in a container would reach this host, does not run: {error}"
        )
        raise OpFailed(Code.PRECONDITION_FAILED, message, retryable=True) from error


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with open(_LOCK, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
