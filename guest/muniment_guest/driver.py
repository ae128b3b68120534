"""Finds the driver of this server's datastore among the packages installed beside the agent."""

from importlib.metadata import entry_points
from pkgutil import resolve_name

import msgspec
import pluggy

from muniment.contract.guest import GuestDriver
from muniment.contract.hooks import DriverHooks
from muniment.contract.manifest import CONTRACT_MAJOR, CONTRACT_MINOR, Manifest
from muniment.fault import Fault

__all__ = ["LoadedDriver", "load_driver"]


class LoadedDriver(msgspec.Struct, frozen=True):
    """A driver's manifest and its guest half."""

    manifest: Manifest
    guest: type[GuestDriver]


def load_driver(group: str, datastore: str) -> LoadedDriver:
    """The driver that brings `datastore`, from the entry points of `group`.

    Only what is needed here is checked: the control plane's registry refused bad drivers long before.

    Raises:
        Fault: there is none, or it cannot be used by this agent.
    """
    for manifest in _manifests(group):
        if any(support.name == datastore for support in manifest.datastores):
            return LoadedDriver(manifest, _guest_class(manifest))
    raise Fault(
        "driver", f"no package in the agent's environment brings a driver of {datastore}", retryable=False
    )


def _manifests(group: str) -> list[Manifest]:
    hooks = pluggy.PluginManager("muniment")
    hooks.add_hookspecs(DriverHooks)
    for point in entry_points(group=group):
        try:
            hooks.register(point.load(), name=point.name)
        except ImportError as error:
            raise Fault(
                "driver", f"driver package {point.name} cannot be imported: {error}", retryable=False
            ) from error
    return [manifest for found in hooks.hook.muniment_register_drivers() for manifest in found]


def _guest_class(manifest: Manifest) -> type[GuestDriver]:
    if manifest.contract_major != CONTRACT_MAJOR or manifest.contract_minor > CONTRACT_MINOR:
        theirs = f"{manifest.contract_major}.{manifest.contract_minor}"
        message = f"driver {manifest.driver} is for contract {theirs}; this agent has {CONTRACT_MAJOR}.{CONTRACT_MINOR}"
        raise Fault("driver", message, retryable=False)
    try:
        found: object = resolve_name(manifest.guest)
    except (ImportError, AttributeError, ValueError) as error:
        raise Fault(
            "driver", f"{manifest.guest} of driver {manifest.driver}: {error}", retryable=False
        ) from error
    if not isinstance(found, type) or not issubclass(found, GuestDriver):
        raise Fault(
            "driver", f"{manifest.guest} of driver {manifest.driver} is no GuestDriver", retryable=False
        )
    return found
