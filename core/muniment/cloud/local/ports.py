"""Ports: a loopback address of its own for each instance, so that each has the datastore's standard port."""

import errno
import socket
from collections.abc import Iterator
from hashlib import sha256
from uuid import UUID, uuid4

import msgspec

from muniment.clock import Clock, seconds
from muniment.cloud.cloud import CloudRefused
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.shelf import Shelf
from muniment.cloud.recipes import CloudResource, Condition, Endpoint, Kind, Network, PortRecipe, Tag

__all__ = ["NETWORK", "PortRecord", "Ports"]

NETWORK = Network(id=str(UUID("6d756e69-6d65-4e74-8000-6c6f6f706261")), name="loopback", is_default=True)
"""The one network of a local cloud, the same on every installation."""

_ADDRESSES_TRIED = 16
_LAST_RESORT = "127.0.0.1"
_OTHER_PORT_FIRST = 16_384
_OTHER_PORTS = 16_384


class PortRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An address and port that belong to one instance."""

    id: str
    tag: Tag
    address: str
    port: int
    created_at_s: float


class Ports:
    """Hands out addresses; under the cloud's lock."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        """Keep them where the layout says."""
        self.shelf = Shelf(layout.ports, PortRecord)
        self._clock = clock

    def create(self, recipe: PortRecipe) -> PortRecord:
        """Take the standard port on an address that nobody has, or another port where somebody holds it on all addresses.

        Refused for another network, for source rules, and when no port is free.
        """
        if recipe.network_id not in (None, NETWORK.id):
            raise CloudRefused(f"there is no network {recipe.network_id} here", retryable=False)
        if recipe.allowed_cidrs is not None:
            raise CloudRefused("this machine cannot enforce rules about sources", retryable=False)
        address, port = self._free(recipe)
        record = PortRecord(
            id=str(uuid4()),
            tag=recipe.tag,
            address=address,
            port=port,
            created_at_s=seconds(self._clock.now()),
        )
        self.shelf.add(record)
        return record

    def seen(self, record: PortRecord) -> CloudResource:
        """The port in the cloud's words."""
        return CloudResource(
            kind=Kind.PORT,
            id=record.id,
            tag=record.tag,
            condition=Condition.HEALTHY,
            created_at_s=record.created_at_s,
            endpoint=Endpoint(address=record.address, port=record.port, network_id=NETWORK.id),
        )

    def _free(self, recipe: PortRecipe) -> tuple[str, int]:
        taken = {(record.address, record.port) for record in self.shelf.all()}
        addresses_taken = {address for address, _ in taken}
        usable = _LAST_RESORT
        tried = 0
        for address in _addresses(recipe.tag.instance_id):
            if address in addresses_taken:
                continue
            found = _try(address, recipe.port)
            if found == 0:
                return address, recipe.port
            if found == errno.EADDRINUSE:
                usable = address
            tried += 1
            if tried == _ADDRESSES_TRIED:
                break
        # Something listens on that port for every address, or this system has no other loopback addresses.
        return usable, _another_port(usable, recipe.tag.instance_id, taken)


def _addresses(instance_id: UUID) -> Iterator[str]:
    """Addresses from 127.0.16.1 on in an order of the instance's own, so that installations on one machine rarely meet.

    Below lie those that systems use themselves (127.0.0.53, 127.0.1.1).
    """
    first = int.from_bytes(sha256(instance_id.bytes).digest()[:4], "big")
    hosts = 224 * 254
    for step in range(hosts):
        third, fourth = divmod((first + step) % hosts, 254)
        yield f"127.0.{16 + third}.{1 + fourth}"


def _try(address: str, port: int) -> int:
    """Listen there for a moment; 0, or the system's error number."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
            trial.listen(1)
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def _another_port(address: str, instance_id: UUID, taken: set[tuple[str, int]]) -> int:
    """One that nobody has, below the range from which Linux draws the ports of clients."""
    first = int.from_bytes(sha256(instance_id.bytes).digest()[4:8], "big")
    for step in range(_OTHER_PORTS):
        port = _OTHER_PORT_FIRST + (first + step) % _OTHER_PORTS
        if (address, port) not in taken and _try(address, port) == 0:
            return port
    raise CloudRefused(f"no port from {_OTHER_PORT_FIRST} on is free on {address}")
