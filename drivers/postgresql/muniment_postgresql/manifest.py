"""What this driver says of itself."""

from muniment.contract.manifest import Capability, DatastoreSupport, Manifest, VersionSupport

__all__ = ["MANIFEST"]

MANIFEST = Manifest(
    driver="postgresql",
    version="0.1.0",
    control="muniment_postgresql.control:PostgresqlControl",
    guest="muniment_postgresql.guest:PostgresqlGuest",
    datastores=(
        DatastoreSupport(
            name="postgresql",
            # A major version only: minor releases share one data format and come with the wheel or the image.
            # The official images: in ours, which `make images` builds, only 17 is tried.
            versions=(
                VersionSupport(name="17", number="17", image="postgres:17", needs_image=True),
                VersionSupport(name="18", number="18", image="postgres:18", default=True),
            ),
        ),
    ),
    capabilities=frozenset(
        {
            Capability.CORE,
            Capability.VOLUME,
            Capability.DATABASES,
            Capability.USERS,
            Capability.SUPERUSER,
            Capability.BACKUP_FULL,
            Capability.RESTORE,
        }
    ),
    backup_methods=("full",),
)
