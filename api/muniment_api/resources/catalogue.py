"""Every route below a project."""

from muniment_api.route import Route

__all__ = ["ROUTES"]

ROUTES: tuple[Route, ...] = ()
