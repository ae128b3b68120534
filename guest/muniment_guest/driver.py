"""Finds the driver of this server's datastore among the packages installed beside the agent."""

import msgspec

from muniment.contract.guest import GuestDriver
from muniment.contract.manifest import Manifest
from muniment.contract.registry import Registry, UnknownDatastore
from muniment.fault import Fault

__all__ = ["LoadedDriver", "load_driver"]


class LoadedDriver(msgspec.Struct, frozen=True):
    """A driver's manifest and its guest half."""

    manifest: Manifest
    guest: type[GuestDriver]


def load_driver(group: str, datastore: str) -> LoadedDriver:
    """The driver that brings `datastore`, from the entry points of `group`.

    Raises:
        Fault: there is none, or it cannot be used; then with the registry's reasons.
    """
    registry = Registry.load(group)
    try:
        return LoadedDriver(registry.driver(datastore).manifest, registry.guest_class(datastore))
    except UnknownDatastore as error:
        refused = "; ".join(f"{found.package}: {', '.join(found.reasons)}" for found in registry.rejected)
        message = f"{error}" + (f"; refused were {refused}" if refused else "")
        raise Fault("driver", message, retryable=False) from error
