"""Every route below a project. Where two paths fit a request the first answers."""

from muniment_api.resources import datastores, flavors, limits, quotas
from muniment_api.route import Route

__all__ = ["ROUTES"]

ROUTES: tuple[Route, ...] = (*datastores.ROUTES, *flavors.ROUTES, *limits.ROUTES, *quotas.ROUTES)
