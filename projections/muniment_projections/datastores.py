"""Datastores and their versions, as tenants and administrators see them."""

from collections.abc import Sequence

from muniment.domain.datastore import (
    DATASTORE,
    SYSTEM_PROJECT,
    Datastore,
    DatastoreRegistered,
    DatastoreVersion,
)
from muniment_projections.collection import Collection
from muniment_projections.documents import encode, links
from muniment_projections.projection import Projection
from muniment_projections.read_model import ReadModel
from muniment_projections.row import Row, RowTable, View

__all__ = ["DATASTORES", "VERSIONS", "DatastoreProjection", "DatastoreVersions", "Datastores"]

DATASTORES = RowTable(
    name="datastores", views=(View.DETAIL, View.ADMIN_DETAIL), facets=("name", "has_active_version")
)
VERSIONS = RowTable(
    name="datastore_versions",
    views=(View.DETAIL, View.ADMIN_DETAIL),
    facets=("name", "datastore_id", "active"),
)
_YES, _NO = "yes", "no"


class DatastoreProjection(Projection[Datastore]):
    """A row for each datastore, and one for each of its versions."""

    KIND = "datastore"
    FORM = 1
    TABLES = (DATASTORES, VERSIONS)
    BIRTHS = (DatastoreRegistered,)
    aggregate = DATASTORE
    state_type = Datastore

    def rows(self, state: Datastore) -> Sequence[Row]:
        """The datastore and its versions; inactive ones are shown by id, and listed to administrators."""
        versions = sorted(state.versions.values(), key=lambda version: (version.name, str(version.id)))
        active = [version for version in versions if version.active]
        return (
            Row(
                table=DATASTORES.name,
                key=str(state.id),
                project_id=SYSTEM_PROJECT,
                # Registered by an installation, not created by a tenant: lists are in the order of ids.
                created_us=0,
                facets={"name": state.name, "has_active_version": _YES if active else _NO},
                documents={
                    View.DETAIL: encode(_datastore(state, [_version(v) for v in active])),
                    View.ADMIN_DETAIL: encode(
                        _datastore(state, [_version(v) | _admin_members(v) for v in versions])
                    ),
                },
            ),
            *(_version_row(state, version) for version in versions),
        )


class Datastores(Collection):
    """All datastores; their facets: `name`, and `has_active_version` (`yes` or `no`), without which tenants see none."""

    def __init__(self, read_model: ReadModel) -> None:
        """Read from `read_model`."""
        super().__init__(read_model, DATASTORES)


class DatastoreVersions(Collection):
    """All versions of all datastores; facets `name`, `datastore_id` and `active` (`yes` or `no`)."""

    def __init__(self, read_model: ReadModel) -> None:
        """Read from `read_model`."""
        super().__init__(read_model, VERSIONS)


def _datastore(s: Datastore, versions: list[dict[str, object]]) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": s.id,
        "name": s.name,
        "links": links("datastores", s.id),
        "versions": versions,
    }
    if s.default_version_id is not None:
        shown["default_version"] = s.default_version_id
    return shown


def _version(v: DatastoreVersion) -> dict[str, object]:
    return {
        "id": v.id,
        "name": v.name,
        "version": v.number,
        "links": links("datastores/versions", v.id),
    }


def _admin_members(v: DatastoreVersion) -> dict[str, object]:
    return {
        "active": v.active,
        "packages": None,
        "image": v.image,
        "image_tags": [],
        "registry_ext": v.driver,
        "repl_strategy": None,
    }


def _version_row(s: Datastore, v: DatastoreVersion) -> Row:
    document = _version(v) | {"datastore": s.id}
    return Row(
        table=VERSIONS.name,
        key=str(v.id),
        project_id=SYSTEM_PROJECT,
        created_us=0,
        facets={"name": v.name, "datastore_id": str(s.id), "active": _YES if v.active else _NO},
        documents={
            View.DETAIL: encode(document),
            View.ADMIN_DETAIL: encode(document | _admin_members(v)),
        },
    )
