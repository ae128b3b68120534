"""The control half of a driver for engines that are simulated."""

from muniment.contract.control import ControlDriver
from muniment.contract.manifest import Capability, DatastoreSupport, Manifest, VersionSupport
from muniment.contract.ops import Account, DatabaseSpec
from muniment.secret import Secret

__all__ = ["SimulatedControl"]

_MANIFEST = Manifest(
    driver="simulated",
    version="1",
    control="tests.simulation.control_driver:SimulatedControl",
    guest="tests.simulation.engine:SimulatedDuties",
    datastores=(
        DatastoreSupport(name="simulated", versions=(VersionSupport(name="1", number="1.0", default=True),)),
    ),
    capabilities=frozenset(Capability) - {Capability.USERS_HOST},
)


class SimulatedControl(ControlDriver):
    """Takes every name."""

    @property
    def manifest(self) -> Manifest:
        """See `ControlDriver`."""
        return _MANIFEST

    def port(self) -> int:
        """See `ControlDriver`."""
        return 5432

    def check_database(self, database: DatabaseSpec) -> None:
        """See `ControlDriver`."""

    def check_account(self, account: Account) -> Account:
        """See `ControlDriver`. Hosts mean nothing here."""
        return Account(name=account.name)

    def check_password(self, password: Secret) -> None:
        """See `ControlDriver`."""

    def base_config(self, *, version: str, memory_mib: int) -> dict[str, str]:
        """See `ControlDriver`."""
        return {"engine.conf": f"memory = {memory_mib}\n"}
