"""Instances, as Trove shows them."""

from collections.abc import Sequence
from uuid import UUID

from muniment.domain.instance import INSTANCE, Instance, InstanceRequested, Lifecycle
from muniment.domain.resources import Role
from muniment.domain.status import operating_status_of, status_of
from muniment_projections.collection import Collection
from muniment_projections.documents import encode, links, timestamp, volume
from muniment_projections.projection import Projection
from muniment_projections.read_model import ReadModel
from muniment_projections.row import Row, RowTable, View, microseconds

__all__ = ["TABLE", "InstanceProjection", "Instances"]

TABLE = RowTable(
    name="instances",
    views=(View.SUMMARY, View.DETAIL, View.ADMIN_SUMMARY, View.ADMIN_DETAIL),
)
_SHOWS_USE = frozenset({"ACTIVE", "BACKUP", "ERROR"})
"""While the engine is being moved about, the last figures of its volume would only mislead."""


class InstanceProjection(Projection[Instance]):
    """One row for each instance that is not deleted."""

    KIND = "instance"
    FORM = 1
    TABLES = (TABLE,)
    BIRTHS = (InstanceRequested,)
    aggregate = INSTANCE
    state_type = Instance

    def rows(self, state: Instance) -> Sequence[Row]:
        """The instance, until it is deleted."""
        if self.is_over(state):
            return ()
        summary, detail = _summary(state), _detail(state)
        admin_summary = {"tenant_id": state.project_id}
        return (
            Row(
                table=TABLE.name,
                key=str(state.id),
                project_id=state.project_id,
                created_us=microseconds(state.created_at),
                documents={
                    View.SUMMARY: encode(summary),
                    View.DETAIL: encode(detail | _fault(state, shows_details=False)),
                    View.ADMIN_SUMMARY: encode(summary | admin_summary),
                    View.ADMIN_DETAIL: encode(
                        detail | admin_summary | _resources(state) | _fault(state, shows_details=True)
                    ),
                },
            ),
        )

    def instance_of(self, state: Instance) -> UUID | None:
        """Itself."""
        return state.id

    def is_over(self, state: Instance) -> bool:
        """Nothing follows the deletion."""
        return state.lifecycle is Lifecycle.DELETED


class Instances(Collection):
    """The instances of a project, or of all."""

    def __init__(self, read_model: ReadModel) -> None:
        """Read from `read_model`."""
        super().__init__(read_model, TABLE)


def _summary(s: Instance) -> dict[str, object]:
    status = status_of(s)
    shown: dict[str, object] = {
        "id": s.id,
        "name": s.name,
        "status": status,
        "operating_status": operating_status_of(s),
        "links": links("instances", s.id),
        "flavor": {"id": s.flavor.id, "links": links("flavors", s.flavor.id)},
        "datastore": {"type": s.datastore.datastore, "version": s.datastore.name},
        "region": s.region,
        "access": _access(s),
        "volume": volume(s.volume_size_gib, shows_use=False),
    }
    if s.address is not None:
        shown["ip"] = [s.address]
        shown["addresses"] = [
            {"address": s.address, "type": "private", "network": s.endpoint_network_id},
        ]
    return shown


def _detail(s: Instance) -> dict[str, object]:
    shown = _summary(s)
    shown["datastore"] = {
        "type": s.datastore.datastore,
        "version": s.datastore.name,
        "version_number": s.datastore.number,
    }
    shown["volume"] = volume(s.volume_size_gib, shows_use=shown["status"] in _SHOWS_USE)
    shown["created"] = timestamp(s.created_at)
    shown["updated"] = timestamp(s.updated_at)
    shown["service_status_updated"] = timestamp(s.health_changed_at)
    if s.address is not None:
        # Ours: on a single machine an engine may have to listen on a port other than its datastore's usual one.
        shown["endpoints"] = [
            {"type": "client", "host": s.address, "port": s.port, "network": s.endpoint_network_id},
        ]
    return shown


def _access(s: Instance) -> dict[str, object]:
    access, cidrs = s.access, s.access.allowed_cidrs
    if access.is_public is None and cidrs is None:
        # Nothing was said: every address that we hand out so far is a private one.
        return {} if s.address is None else {"is_public": False}
    shown: dict[str, object] = {"is_public": bool(access.is_public)}
    return shown if cidrs is None else shown | {"allowed_cidrs": cidrs}


def _fault(s: Instance, *, shows_details: bool) -> dict[str, object]:
    if s.fault is None:
        return {}
    details = (s.fault.details or None) if shows_details else None
    return {"fault": {"message": s.fault.message, "created": timestamp(s.fault.at), "details": details}}


def _resources(s: Instance) -> dict[str, object]:
    return {
        "server_id": s.held(Role.SERVER),
        "volume_id": s.held(Role.VOLUME),
        "encrypted_rpc_messaging": True,
    }
