"""Finds the installed drivers, refuses bad ones with their reasons, and goes on with the others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points

import pluggy

from muniment.contract.control import ControlDriver
from muniment.contract.guest import GuestDriver
from muniment.contract.hooks import ENTRY_POINT_GROUP, DriverHooks
from muniment.contract.inspection import check_manifest, find_control, find_guest
from muniment.contract.manifest import DatastoreSupport, Manifest
from muniment.fault import Fault

__all__ = ["Driver", "Registry", "Rejected", "UnknownDatastore"]


@dataclass(frozen=True)
class Driver:
    """A driver that may be used; its guest half is known by name until somebody asks for it."""

    package: str
    """The entry point it came from."""
    manifest: Manifest
    control: ControlDriver


@dataclass(frozen=True)
class Rejected:
    """A driver, or a whole package, that is not used, and every reason why."""

    package: str
    driver: str
    """Empty where the package did not come so far as to name one."""
    reasons: tuple[str, ...]


class UnknownDatastore(LookupError):
    """No driver brings this datastore."""

    def __init__(self, datastore: str, known: Iterable[str]) -> None:
        """Name it, and those there are."""
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(f"no driver brings the datastore {datastore!r}; there are: {listed}")


class Registry:
    """The drivers of this process."""

    def __init__(self, drivers: Iterable[Driver] = (), rejected: Iterable[Rejected] = ()) -> None:
        """Made by `load` or `of`."""
        self.drivers = tuple(drivers)
        self.rejected = tuple(rejected)
        self._by_datastore = {
            datastore.name: driver for driver in self.drivers for datastore in driver.manifest.datastores
        }

    @classmethod
    def load(cls, group: str = ENTRY_POINT_GROUP, *, check_guest: bool = False) -> "Registry":
        """Find the drivers by the entry points of the installed packages, in the order of their names.

        `check_guest` imports and checks the guest halves too: where their libraries are installed.
        """
        plugins: list[tuple[str, object]] = []
        rejected: list[Rejected] = []
        for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
            try:
                plugins.append((point.name, point.load()))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken package must not hurt the others
                rejected.append(
                    Rejected(
                        point.name, "", (f"{point.value} cannot be loaded: {type(error).__name__}: {error}",)
                    )
                )
        found = cls.of(plugins, check_guest=check_guest)
        return cls(found.drivers, (*rejected, *found.rejected))

    @classmethod
    def of(cls, plugins: Iterable[tuple[str, object]], *, check_guest: bool = False) -> "Registry":
        """Take these plugins (a name, and an object with the hook); earlier ones win where two bring the same."""
        drivers: list[Driver] = []
        rejected: list[Rejected] = []
        for package, plugin in plugins:
            manifests, reasons = _manifests_of(package, plugin)
            if reasons:
                rejected.append(Rejected(package, "", tuple(reasons)))
            for manifest in manifests:
                control, reasons = _examine(manifest, drivers, check_guest=check_guest)
                if control is None:
                    rejected.append(Rejected(package, str(manifest.driver), tuple(reasons)))
                else:
                    drivers.append(Driver(package, manifest, control))
        return cls(drivers, rejected)

    def datastores(self) -> tuple[DatastoreSupport, ...]:
        """All datastores that a driver brings, by name."""
        supports = (support for driver in self.drivers for support in driver.manifest.datastores)
        return tuple(sorted(supports, key=lambda support: support.name))

    def driver(self, datastore: str) -> Driver:
        """Who brings a datastore; raises UnknownDatastore."""
        try:
            return self._by_datastore[datastore]
        except KeyError:
            raise UnknownDatastore(datastore, self._by_datastore) from None

    def control(self, datastore: str) -> ControlDriver:
        """The control half for a datastore; raises UnknownDatastore."""
        return self.driver(datastore).control

    def guest_class(self, datastore: str) -> type[GuestDriver]:
        """The guest half for a datastore, imported now.

        Raises:
            UnknownDatastore: no driver brings it.
            Fault: the guest half is not what it should be, or its libraries are not installed here.
        """
        driver = self.driver(datastore)
        found, reasons = find_guest(driver.manifest)
        if found is None:
            raise Fault("driver", f"driver {driver.manifest.driver}: {'; '.join(reasons)}", retryable=False)
        return found


def _manifests_of(package: str, plugin: object) -> tuple[list[Manifest], list[str]]:
    """What the hook of one package answers. Every package has a manager of its own: pluggy checks all of one at once."""
    manager = pluggy.PluginManager("muniment")
    manager.add_hookspecs(DriverHooks)
    try:
        manager.register(plugin, name=package)
        manager.check_pending()
        answers: list[object] = manager.hook.muniment_register_drivers()
    except Exception as error:  # noqa: BLE001 - the hook is foreign code
        return [], [f"the hook muniment_register_drivers failed: {type(error).__name__}: {error}"]
    if not answers:
        return [], ["the package implements no hook muniment_register_drivers"]
    manifests: list[Manifest] = []
    reasons: list[str] = []
    for answer in answers:
        for item in answer if isinstance(answer, (list, tuple)) else [answer]:
            if isinstance(item, Manifest):
                manifests.append(item)
            else:
                reasons.append(f"the hook returned a {type(item).__name__} where a Manifest belongs")
    return manifests, reasons


def _examine(
    manifest: Manifest, others: list[Driver], *, check_guest: bool
) -> tuple[ControlDriver | None, list[str]]:
    """The control half of a driver that may be used, or every reason why it may not."""
    reasons = check_manifest(manifest)
    if reasons:
        # What a manifest of another contract or without its fields names is not imported.
        return None, reasons
    reasons += _taken(manifest, others)
    control, problems = find_control(manifest)
    reasons += problems
    if check_guest:
        reasons += find_guest(manifest)[1]
    return (None, reasons) if reasons else (control, [])


def _taken(manifest: Manifest, others: list[Driver]) -> Iterator[str]:
    """One driver brings all versions of a datastore, so that a name leads to one set of rules."""
    for other in others:
        brought = {support.name: support for support in other.manifest.datastores}
        if manifest.driver == other.manifest.driver:
            yield f"a driver {manifest.driver!r} is there already, from the package {other.package}"
        for support in manifest.datastores:
            if support.name in brought:
                both = {version.name for version in support.versions} & {
                    version.name for version in brought[support.name].versions
                }
                versions = f" in version {', '.join(sorted(both))}" if both else ""
                yield f"the driver {other.manifest.driver!r} brings {support.name}{versions} already"
