"""A small driver that is right, and drivers that are each wrong in one way, for the tests of the registry."""

import msgspec

from muniment.contract.control import ControlDriver
from muniment.contract.guest import GuestDriver, Job
from muniment.contract.hooks import hookimpl
from muniment.contract.manifest import Capability, DatastoreSupport, Manifest, VersionSupport
from muniment.contract.messages import Health, HealthState
from muniment.contract.ops import Account, Bootstrap, Databases, DatabaseSpec, Install, Installed, Page
from muniment.secret import Secret

MANIFEST = Manifest(
    driver="sample",
    version="1.0",
    control="tests.support.sample_drivers:Control",
    guest="tests.support.sample_drivers:Guest",
    datastores=(DatastoreSupport(name="sample", versions=(VersionSupport(name="1", number="1.0"),)),),
    capabilities=frozenset({Capability.CORE, Capability.DATABASES}),
)


def changed(**fields: object) -> Manifest:
    """The sample's manifest with other fields, right or wrong."""
    return msgspec.structs.replace(MANIFEST, **fields)


class Package:
    """A plugin that answers with these manifests."""

    def __init__(self, *manifests: object) -> None:
        """As a package's module would."""
        self._manifests = manifests

    @hookimpl
    def muniment_register_drivers(self) -> list[object]:
        """The manifests."""
        return list(self._manifests)


class Control(ControlDriver):
    """A control half that is right."""

    @property
    def manifest(self) -> Manifest:
        """The sample's."""
        return MANIFEST

    @staticmethod
    def port() -> int:
        """Some port."""
        return 7

    def check_database(self, database: DatabaseSpec) -> None:
        """Everything goes."""

    def check_account(self, account: Account) -> Account:
        """Everything goes."""
        return account

    def check_password(self, password: Secret) -> None:
        """Everything goes."""

    def base_config(self, *, version: str, memory_mib: int) -> dict[str, str]:
        """Nothing to configure."""
        return {}


UNHEARD_OF = changed(capabilities=frozenset({"core", "telepathy"}))
FAR_MANIFEST = changed(
    control="tests.support.sample_drivers:FarControl", guest="muniment_elsewhere.guest:Guest"
)


class FarControl(Control):
    """A control half whose guest half is installed elsewhere."""

    @property
    def manifest(self) -> Manifest:
        """The far one."""
        return FAR_MANIFEST


class ControlThatForgets(Control):
    """Its configuration cannot be asked for by keyword."""

    def base_config(self, version: str) -> dict[str, str]:  # type: ignore[override]  # what the test is about
        """Takes no memory."""
        return {}


class ControlWithoutPort(ControlDriver):
    """Leaves everything out."""


class ControlThatFails(Control):
    """Cannot be made."""

    def __init__(self) -> None:
        """Fails."""
        raise RuntimeError("no licence")


class Guest(GuestDriver):
    """A guest half that is right."""

    def install(self, install: Install, job: Job) -> Installed:
        """Nothing to install."""
        return Installed(server_version="1.0")

    def bootstrap(self, bootstrap: Bootstrap, job: Job) -> Health:
        """Nothing to start."""
        return self.probe()

    def start(self) -> Health:
        """Nothing to start."""
        return self.probe()

    def stop(self, grace_s: float) -> Health:
        """Nothing to stop."""
        return self.probe()

    def probe(self) -> Health:
        """Always well."""
        return Health(state=HealthState.HEALTHY)

    def list_databases(self, page: Page) -> Databases:
        """None."""
        return Databases(items=())

    def create_database(self, database: DatabaseSpec) -> None:
        """Forgets it."""

    def drop_database(self, name: str) -> None:
        """Had none."""


class GuestWithoutStop(Guest):
    """Cannot be stopped with a grace."""

    def stop(self) -> Health:  # type: ignore[override]  # what the test is about
        """Takes no grace."""
        return self.probe()


class GuestWithOwnNames(Guest):
    """Calls a parameter by a name of its own."""

    def stop(self, patience: float) -> Health:
        """Takes a grace that nobody can name."""
        return self.probe()


class NoDriver:
    """Has nothing to do with the contract."""
