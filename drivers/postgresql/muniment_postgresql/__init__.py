"""The PostgreSQL driver: `control.py` knows, `guest.py` acts.

The control plane imports this module and `control.py` only; psycopg and the engine are needed in the guest alone.
"""

from muniment.contract.hooks import hookimpl
from muniment.contract.manifest import Manifest
from muniment_postgresql.manifest import MANIFEST

__all__ = ["muniment_register_drivers"]


@hookimpl
def muniment_register_drivers() -> list[Manifest]:
    """The one driver of this package."""
    return [MANIFEST]
