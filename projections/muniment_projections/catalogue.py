"""All read models, in the order in which tools list them. The timeline is kept beside them: it follows every stream."""

from muniment_projections.backups import BackupProjection
from muniment_projections.datastores import DatastoreProjection
from muniment_projections.instances import InstanceProjection
from muniment_projections.operations import OperationProjection
from muniment_projections.projection import AnyProjection
from muniment_projections.quotas import QuotaProjection

__all__ = ["CATALOGUE"]

CATALOGUE: tuple[AnyProjection, ...] = (
    InstanceProjection(),
    BackupProjection(),
    OperationProjection(),
    DatastoreProjection(),
    QuotaProjection(),
)
