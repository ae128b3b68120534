"""The driver that is tested: named on the command line, by its own name or by where its manifest is."""

from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Literal

import msgspec

from muniment.contract.control import ControlDriver
from muniment.contract.inspection import check_manifest, find_control
from muniment.contract.manifest import DatastoreSupport, Manifest, VersionSupport
from muniment.contract.registry import Registry

__all__ = ["Subject", "Terms", "UnusableDriver", "find_subject"]


class UnusableDriver(Exception):
    """Nothing can be tested: there is no such driver, or it was refused."""


@dataclass(frozen=True)
class Terms:
    """How the driver is tested, where that is for the tester to say."""

    runtime: Literal["process", "docker"] = "process"
    version: str | None = None
    """The datastore version's name."""
    image: str | None = None
    """In place of the one in the manifest."""


@dataclass(frozen=True)
class Subject:
    """A driver's manifest and control half."""

    manifest: Manifest
    control: ControlDriver
    source: str | None
    """`package.module:name` of the manifest where the driver is not installed by an entry point."""

    terms: Terms = Terms()

    @property
    def datastore(self) -> DatastoreSupport:
        """The datastore under test: the first."""
        return self.manifest.datastores[0]

    @property
    def version(self) -> VersionSupport:
        """The version under test: the one that was named, else the default one, else the last; with the image that was."""
        versions = self.datastore.versions
        named = [version for version in versions if version.name == self.terms.version]
        found = next((version for version in (*named, *versions) if named or version.default), versions[-1])
        return msgspec.structs.replace(found, image=self.terms.image or found.image)


def find_subject(name: str, terms: Terms = Terms()) -> Subject:
    """The driver of that name, or the one whose manifest is `package.module:name`, to be tested on these terms.

    Raises:
        UnusableDriver: with every reason. The guest half is not looked at: what is wrong with it, the rules find.
    """
    if ":" in name:
        return _on_terms(_from_manifest(name), terms)
    registry = Registry.load()
    for driver in registry.drivers:
        if driver.manifest.driver == name:
            return _on_terms(Subject(driver.manifest, driver.control, None), terms)
    reasons = [
        f"{rejected.driver or rejected.package}: {'; '.join(rejected.reasons)}"
        for rejected in registry.rejected
    ]
    installed = ", ".join(driver.manifest.driver for driver in registry.drivers) or "none"
    raise UnusableDriver("\n".join([f"no driver {name!r} is installed; there are: {installed}", *reasons]))


def _on_terms(subject: Subject, terms: Terms) -> Subject:
    names = [version.name for version in subject.datastore.versions]
    if terms.version is not None and terms.version not in names:
        raise UnusableDriver(
            f"{subject.datastore.name} has no version {terms.version!r}; there are: {', '.join(names)}"
        )
    return replace(subject, terms=terms)


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
