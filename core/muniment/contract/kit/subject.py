"""The driver that is tested: named on the command line, by its own name or by where its manifest is."""

from dataclasses import dataclass
from pkgutil import resolve_name

from muniment.contract.control import ControlDriver
from muniment.contract.inspection import check_manifest, find_control
from muniment.contract.manifest import DatastoreSupport, Manifest, VersionSupport
from muniment.contract.registry import Registry

__all__ = ["Subject", "UnusableDriver", "find_subject"]


class UnusableDriver(Exception):
    """Nothing can be tested: there is no such driver, or it was refused."""


@dataclass(frozen=True)
class Subject:
    """A driver's manifest and control half."""

    manifest: Manifest
    control: ControlDriver
    source: str | None
    """`package.module:name` of the manifest where the driver is not installed by an entry point."""

    @property
    def datastore(self) -> DatastoreSupport:
        """The datastore under test: the first."""
        return self.manifest.datastores[0]

    @property
    def version(self) -> VersionSupport:
        """The version under test: the default one, else the last."""
        versions = self.datastore.versions
        return next((version for version in versions if version.default), versions[-1])


def find_subject(name: str) -> Subject:
    """The driver of that name, or the one whose manifest is `package.module:name`.

    Raises:
        UnusableDriver: with every reason. The guest half is not looked at: what is wrong with it, the rules find.
    """
    if ":" in name:
        return _from_manifest(name)
    registry = Registry.load()
    for driver in registry.drivers:
        if driver.manifest.driver == name:
            return Subject(driver.manifest, driver.control, None)
    reasons = [
        f"{rejected.driver or rejected.package}: {'; '.join(rejected.reasons)}"
        for rejected in registry.rejected
    ]
    installed = ", ".join(driver.manifest.driver for driver in registry.drivers) or "none"
    raise UnusableDriver("\n".join([f"no driver {name!r} is installed; there are: {installed}", *reasons]))


def _from_manifest(source: str) -> Subject:
    try:
        found: object = resolve_name(source)
    except Exception as error:
        raise UnusableDriver(f"{source} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, Manifest):
        raise UnusableDriver(f"{source} is no Manifest")
    reasons = check_manifest(found)
    if reasons:
        raise UnusableDriver("\n".join(reasons))
    control, reasons = find_control(found)
    if control is None:
        raise UnusableDriver("\n".join(reasons))
    return Subject(found, control, source)
