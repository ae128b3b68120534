"""What an installation has to offer for a new instance, and what of it a tenant may choose."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from muniment.domain.drivers import Drivers
from muniment.domain.instance import Access, FlavorFacts
from muniment.domain.refused import Refused

__all__ = ["Offer", "WantedNic"]


class WantedNic(msgspec.Struct, frozen=True, kw_only=True):
    """A network to be attached to, as a tenant names it."""

    network_id: str | None = None
    subnet_id: str | None = None
    port_id: str | None = None
    has_address: bool = False
    """Whether an address of the tenant's choice was asked for."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Flavors, networks, limits and drivers as they are at the moment of a request.

    Each method answers a choice of a tenant, None where nothing was said, and refuses what is not there.
    """

    flavors: Mapping[str, FlavorFacts]
    """By id."""
    networks: frozenset[str]
    """Their ids."""
    default_network: str | None
    enforces_allowed_cidrs: bool
    """Whether the cloud really lets in only whom `allowed_cidrs` names."""
    volume_size_gib_max: int
    region: str
    drivers: Drivers

    def flavor(self, flavor_id: str | None) -> FlavorFacts:
        """The flavor of that id; refused (400) without one."""
        if flavor_id is None:
            raise Refused("no-flavor", "Name a flavor: `flavorRef`.", status=400)
        if (found := self.flavors.get(flavor_id)) is None:
            raise Refused("unknown-flavor", f"flavor {flavor_id} cannot be found", status=400)
        return found

    def volume_size_gib(self, size_gib: int | None, volume_type: str | None) -> int:
        """The size of the data volume; refused without one, with a type (400), or above the limit (413)."""
        if size_gib is None:
            raise Refused("no-volume", "Say how large the volume is: `volume.size`, in GiB.", status=400)
        if volume_type is not None:
            raise Refused("no-volume-type", f"there is no volume type {volume_type}", status=400)
        if size_gib > self.volume_size_gib_max:
            raise Refused(
                "volume-too-large",
                f"a volume may have at most {self.volume_size_gib_max} GiB, not {size_gib}",
                status=413,
            )
        return size_gib

    def network_id(self, nic: WantedNic | None) -> str:
        """The network to attach to, the default one where none is named; refused with 400."""
        if nic is None:
            if self.default_network is None:
                raise Refused("no-network", "Name a network: `nics`.", status=400)
            return self.default_network
        if nic.port_id:
            raise Refused(
                "no-tenant-ports", "ports of tenants cannot be used here; name a network", status=400
            )
        if nic.has_address:
            raise Refused(
                "no-fixed-address", "addresses cannot be chosen here; name a network only", status=400
            )
        if nic.network_id is None:
            raise Refused("no-network", "a nic needs network_id", status=400)
        if nic.subnet_id or nic.network_id not in self.networks:
            named = nic.subnet_id or nic.network_id
            raise Refused("unknown-network", f"network {named} cannot be found", status=400)
        return nic.network_id

    def access(self, wanted: Access) -> Access:
        """The reachability; refused (422) where the cloud cannot keep others out.

        An empty list is open to all, as in Trove; a cloud without such rules is not told of it.
        """
        if self.enforces_allowed_cidrs:
            return wanted
        if wanted.allowed_cidrs:
            raise Refused(
                "no-allowed-cidrs", "this cloud cannot enforce allowed_cidrs; leave them out", status=422
            )
        return Access(is_public=wanted.is_public)

    def check_region(self, region: str | None) -> None:
        """Refuse (400) another region than this one."""
        if region not in (None, self.region):
            raise Refused("other-region", f"this service's region is {self.region}", status=400)
