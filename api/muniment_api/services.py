"""What the resources work with: the ledger to write, the read models to answer from, and what is fixed at start."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from muniment.clock import Clock
from muniment.cloud.recipes import Flavor, Network
from muniment.contract.control import ControlDriver
from muniment.contract.messages import VolumeFacts
from muniment.domain.drivers import Drivers
from muniment.domain.quota import DEFAULT_LIMITS
from muniment.operations.backup_keys import BackupKeys
from muniment.operations.scene import Knowledge
from muniment.operations.start import Starter
from muniment.operations.takeover import TakeOver
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment_api.commands import Commands
from muniment_api.endings import Endings
from muniment_api.live import GuestQueries
from muniment_api.waiting import Waiters
from muniment_projections.backups import Backups
from muniment_projections.datastores import Datastores, DatastoreVersions
from muniment_projections.instances import Instances
from muniment_projections.operations import Operations
from muniment_projections.quotas import Quotas
from muniment_projections.read_model import ReadModel
from muniment_projections.timeline import Timeline
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
        clock: Clock,
        vault: Vault,
        cipher: PersonalCipher,
        knowledge: Knowledge,
        controls: Mapping[str, ControlDriver],
        flavors: Sequence[Flavor],
        networks: Sequence[Network],
        capabilities: frozenset[str],
        allows_superuser: bool,
        default_limits: Mapping[str, int] = DEFAULT_LIMITS,
    ) -> None:
        """`arrivals` watches `read_model`; `knowledge` is the operation engine's; `controls` are the drivers' control
        halves by datastore; flavors (smallest first), networks and capabilities are the cloud's. `allows_superuser`: engines
        are isolated from each other, or an operator said that it does not matter. Limits hold where none were set."""
        self.ledger = ledger
        self.arrivals = arrivals
        self.commands = Commands(ledger, arrivals)
        self.clock = clock
        self.queries = GuestQueries(ledger, vault, clock)
        self.endings = Endings(ledger)
        self.waiters = Waiters(lambda: ledger.commits)
        self.starter = Starter(vault, knowledge)
        self.take_over = TakeOver(ledger, self.starter, knowledge, clock)
        self.backup_keys = BackupKeys(cipher)
        self.drivers = Drivers(controls)
        self.flavors = tuple(flavors)
        self.networks = tuple(networks)
        self.capabilities = capabilities
        self.allows_superuser = allows_superuser
        self.default_limits = dict(default_limits)
        self.datastores = Datastores(read_model)
        self.datastore_versions = DatastoreVersions(read_model)
        self.quotas = Quotas(read_model)
        self.instances = Instances(read_model)
        self.backups = Backups(read_model)
        self.operations = Operations(read_model)
        self.timeline = Timeline(read_model)

    def volume_facts(self, instance_id: UUID) -> VolumeFacts | None:
        """What the guest last reported of its data volume."""
        with self.ledger.reading() as reader:
            report = reader.volume_report(instance_id)
        return None if report is None else msgspec.json.decode(report, type=VolumeFacts)

    def flavor(self, flavor_id: str) -> Flavor | None:
        """The flavor with this id."""
        return next((flavor for flavor in self.flavors if flavor.id == flavor_id), None)
