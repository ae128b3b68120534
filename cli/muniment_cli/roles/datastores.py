"""Datastores become known by the manifests of the installed drivers, as events."""

from muniment.contract.manifest import DatastoreSupport, VersionSupport
from muniment.contract.registry import Driver, Registry
from muniment.domain.datastore import (
    DATASTORE,
    SYSTEM_PROJECT,
    DatastoreVersion,
    datastore_id,
    register_version,
    version_id,
)
from muniment.domain.event import About
from muniment.store.ledger import Ledger

__all__ = ["register_datastores"]

_ABOUT = About(project_id=SYSTEM_PROJECT, actor="up")


def register_datastores(ledger: Ledger, registry: Registry) -> None:
    """Record what the drivers bring and is not known yet; a version that no driver brings any more stays."""
    for driver in registry.drivers:
        for datastore in driver.manifest.datastores:
            for version in datastore.versions:
                _register(ledger, driver, datastore, version)


def _register(ledger: Ledger, driver: Driver, datastore: DatastoreSupport, version: VersionSupport) -> None:
    described = DatastoreVersion(
        id=version_id(datastore.name, version.name),
        name=version.name,
        number=version.number,
        driver=driver.manifest.driver,
        driver_version=driver.manifest.version,
        image=version.image,
        image_digest=None,
        active=True,
    )
    stream = datastore_id(datastore.name)
    known = ledger.load(DATASTORE, stream)
    if known is not None and not register_version(known, datastore.name, described, default=version.default):
        return
    ledger.command(
        DATASTORE,
        stream,
        lambda state: register_version(state, datastore.name, described, default=version.default),
        _ABOUT,
    )
