"""The control halves of the drivers, as deciders ask them."""

from collections.abc import Mapping

from muniment.contract.control import ControlDriver
from muniment.contract.manifest import Capability
from muniment.domain.refused import Refused

__all__ = ["Drivers"]


class Drivers:
    """Finds the control half of a datastore and refuses what it lacks. Pure, like the control halves."""

    def __init__(self, controls: Mapping[str, ControlDriver]) -> None:
        """One control half for each datastore, by name."""
        self._controls = dict(controls)

    def datastores(self) -> tuple[str, ...]:
        """Names of all datastores that have a driver, sorted."""
        return tuple(sorted(self._controls))

    def control(self, datastore: str) -> ControlDriver:
        """The control half for a datastore.

        Raises:
            Refused: 422, its driver is not installed any more.
        """
        found = self._controls.get(datastore)
        if found is None:
            raise Refused("no-driver", f"no driver for datastore {datastore} is installed", status=422)
        return found

    def require(self, datastore: str, capability: Capability) -> None:
        """Refuse (422, D-32) what a datastore's driver cannot do."""
        if capability not in self.control(datastore).manifest.capabilities:
            raise Refused(
                "not-capable",
                f"the driver of datastore {datastore} lacks the capability {capability}",
                status=422,
            )
