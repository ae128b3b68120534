"""The one hook of a driver package, on pluggy: tell me which drivers you bring."""

import pluggy

from muniment.contract.manifest import Manifest

__all__ = ["ENTRY_POINT_GROUP", "DriverHooks", "hookimpl", "hookspec"]

ENTRY_POINT_GROUP = "muniment.drivers"

hookspec = pluggy.HookspecMarker("muniment")
hookimpl = pluggy.HookimplMarker("muniment")


class DriverHooks:
    """What a driver package implements."""

    @hookspec
    def muniment_register_drivers(self) -> list[Manifest]:
        """Return the manifests of the drivers in this package."""
        raise NotImplementedError  # pluggy never calls a specification
