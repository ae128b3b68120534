"""Every route below a project. Where two paths fit a request the first answers."""

from muniment_api.resources import (
    backups,
    databases,
    datastores,
    events,
    flavors,
    grants,
    instances,
    limits,
    operations,
    quotas,
    root,
    users,
)
from muniment_api.route import Route

__all__ = ["ROUTES"]

ROUTES: tuple[Route, ...] = (
    *instances.ROUTES,
    *databases.ROUTES,
    *grants.ROUTES,
    *users.ROUTES,
    *root.ROUTES,
    *backups.ROUTES,
    *datastores.ROUTES,
    *flavors.ROUTES,
    *limits.ROUTES,
    *quotas.ROUTES,
    *operations.ROUTES,
    *events.ROUTES,
)
