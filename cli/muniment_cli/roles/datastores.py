"""Datastores become known by the manifests of the installed drivers, as events."""

import structlog

from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.contract.manifest import VersionSupport
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
from muniment.fault import Fault
from muniment.store.ledger import Ledger

__all__ = ["register_datastores"]

log = structlog.get_logger()

_ABOUT = About(project_id=SYSTEM_PROJECT, actor="up")


def register_datastores(
    ledger: Ledger, registry: Registry, cloud: LocalCloud, settings: LocalCloudSettings
) -> None:
    """Record what the drivers bring and is not known yet; a version that no driver brings any more stays."""
    images = {(one.datastore, one.version): one.image for one in settings.images}
    for driver in registry.drivers:
        for datastore in driver.manifest.datastores:
            for version in datastore.versions:
                image = images.get((datastore.name, version.name), version.image)
                offered = _offered(driver, datastore.name, version, image, cloud)
                _register(ledger, datastore.name, offered, default=version.default)


def _offered(
    driver: Driver, datastore: str, version: VersionSupport, image: str | None, cloud: LocalCloud
) -> DatastoreVersion:
    """The version as it can be had here: with the image that its name means now, where engines run in containers."""
    in_containers = cloud.runtime == "docker"
    return DatastoreVersion(
        id=version_id(datastore, version.name),
        name=version.name,
        number=version.number,
        driver=driver.manifest.driver,
        driver_version=driver.manifest.version,
        image=image,
        image_digest=_digest(cloud, image) if in_containers and image is not None else None,
        active=image is not None if in_containers else not version.needs_image,
    )


def _digest(cloud: LocalCloud, image: str) -> str | None:
    try:
        return cloud.containers.digest(image)
    except Fault as fault:
        log.warning("image is not resolved", image=image, reason=fault.message)
        return None


def _register(ledger: Ledger, datastore: str, described: DatastoreVersion, *, default: bool) -> None:
    stream = datastore_id(datastore)
    known = ledger.load(DATASTORE, stream)
    if known is not None and not register_version(known, datastore, described, default=default):
        return
    ledger.command(
        DATASTORE,
        stream,
        lambda state: register_version(state, datastore, described, default=default),
        _ABOUT,
    )
