"""Quotas: a project's limits from the log, and what it uses from the store's reservations.

Limits are events, so they are a read model. Usage is the guarded sum in the store's state tables and nowhere else: what a
request is refused by and what its owner is shown are the same rows. So the quota resource reads the limits here and asks
the store for the usage (`Reader.counted`), at the price of one indexed sum for each request; a copy of it here would
lag behind, and could tell a tenant of room that the next request does not find.
"""

from collections.abc import Mapping, Sequence

import msgspec

from muniment.domain.quota import (
    DEFAULT_LIMITS,
    PROJECT_QUOTA,
    ProjectQuota,
    QuotaLimitsSet,
    limits_of,
    quota_id,
)
from muniment_projections.collection import Collection
from muniment_projections.documents import encode
from muniment_projections.projection import Projection
from muniment_projections.read_model import ReadModel
from muniment_projections.row import Row, RowTable, View

__all__ = ["TABLE", "QuotaProjection", "Quotas", "quota_documents"]

TABLE = RowTable(name="quotas", views=(View.DETAIL,))


class QuotaProjection(Projection[ProjectQuota]):
    """One row for each project whose limits were ever set."""

    KIND = "quota"
    FORM = 1
    TABLES = (TABLE,)
    BIRTHS = (QuotaLimitsSet,)
    aggregate = PROJECT_QUOTA
    state_type = ProjectQuota

    def rows(self, state: ProjectQuota) -> Sequence[Row]:
        """The limits that were set; those never set follow the defaults of the day they are read."""
        return (
            Row(
                table=TABLE.name,
                key=str(state.id),
                project_id=state.project_id,
                created_us=0,
                documents={View.DETAIL: encode(dict(sorted(state.limits.items())))},
            ),
        )


class Quotas(Collection):
    """The limits in force."""

    def __init__(self, read_model: ReadModel) -> None:
        """Read from `read_model`."""
        super().__init__(read_model, TABLE)

    def limits(
        self,
        project_id: str,
        *,
        defaults: Mapping[str, int] = DEFAULT_LIMITS,
        as_of: int | None = None,
    ) -> dict[str, int]:
        """Every limit of a project by resource; negative is unlimited."""
        document = self.get(quota_id(project_id), project_id=project_id, view=View.DETAIL, as_of=as_of)
        if document is None:
            return limits_of(None, defaults)
        return {**defaults, **msgspec.json.decode(document, type=dict[str, int])}


def quota_documents(
    limits: Mapping[str, int], counted: Mapping[str, Mapping[str, int]]
) -> list[dict[str, object]]:
    """The `quotas` of the quota resource, one for each resource that has a limit.

    `counted` is what `Reader.counted` of the store says: by resource, what is in use for good and what is reserved by
    operations that have not ended.
    """
    return [
        {
            "resource": resource,
            "in_use": counted.get(resource, {}).get("in_use", 0),
            "reserved": counted.get(resource, {}).get("reserved", 0),
            "limit": limit,
        }
        for resource, limit in limits.items()
    ]
