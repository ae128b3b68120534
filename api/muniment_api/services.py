"""What the resources work with: the ledger to write, the read models to answer from, and what is fixed at start."""

from collections.abc import Mapping, Sequence

from muniment.cloud.recipes import Flavor
from muniment.domain.quota import DEFAULT_LIMITS
from muniment.store.ledger import Ledger
from muniment_api.commands import Commands
from muniment_projections.datastores import Datastores, DatastoreVersions
from muniment_projections.quotas import Quotas
from muniment_projections.read_model import ReadModel
from muniment_projections.waiting import Arrivals

__all__ = ["Services"]


class Services:
    """Made once by the composition root and shared by all requests, in any thread."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        read_model: ReadModel,
        arrivals: Arrivals,
        flavors: Sequence[Flavor],
        default_limits: Mapping[str, int] = DEFAULT_LIMITS,
    ) -> None:
        """`arrivals` watches `read_model`; `flavors` are the cloud's, smallest first; limits hold where none were set."""
        self.ledger = ledger
        self.arrivals = arrivals
        self.commands = Commands(ledger, arrivals)
        self.flavors = tuple(flavors)
        self.default_limits = dict(default_limits)
        self.datastores = Datastores(read_model)
        self.datastore_versions = DatastoreVersions(read_model)
        self.quotas = Quotas(read_model)

    def flavor(self, flavor_id: str) -> Flavor | None:
        """The flavor with this id."""
        return next((flavor for flavor in self.flavors if flavor.id == flavor_id), None)
