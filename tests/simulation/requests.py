"""What tenants ask for: the requests of the API, through the same deciders and saved as the API does it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from tests.simulation.control_driver import SimulatedControl

from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.arguments import Arguments
from muniment.domain.backup import Backup, check_deletable
from muniment.domain.backup_request import CreateBackup, create_backup
from muniment.domain.datastore import DATASTORE, Datastore, DatastoreVersion, register_version, version_id
from muniment.domain.drivers import Drivers
from muniment.domain.event import About
from muniment.domain.instance import FlavorFacts, Instance, check_actionable, check_databases_reachable
from muniment.domain.instance_request import CreateInstance, create_instance
from muniment.domain.offer import Offer
from muniment.domain.operation import OPERATION
from muniment.domain.volume_growth import check_growth
from muniment.operations.cancel import cancel
from muniment.operations.restart_instance import RESTART_INSTANCE
from muniment.operations.start import Beginning
from muniment.operations.steps import Definition
from muniment.operations.takeover import TakenOver
from muniment.secret import Secret

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["DATASTORES", "LIMITS", "OFFER", "Requests"]

OFFER = Offer(
    flavors={"1": FlavorFacts(id="1", name="small", ram_mib=512, vcpus=1)},
    networks=frozenset({"net-1"}),
    default_network="net-1",
    enforces_allowed_cidrs=False,
    volume_size_gib_max=16_384,
    region="RegionOne",
    drivers=Drivers({"simulated": SimulatedControl()}),
)
LIMITS = {"instances": 10, "ram": -1, "volumes": 40, "backups": 50}


def _registered() -> Datastore:
    version = DatastoreVersion(
        id=version_id("simulated", "1"),
        name="1",
        number="1.0",
        driver="simulated",
        driver_version="1",
        image=None,
        image_digest=None,
        active=True,
    )
    found = DATASTORE.fold(None, register_version(None, "simulated", version, default=True))
    assert found is not None
    return found


DATASTORES = (_registered(),)


class Requests:
    """A tenant. Every method raises Refused when the API would refuse."""

    def __init__(self, world: World, project: str = "project-1") -> None:
        """Ask for this project."""
        self._world = world
        self.project = project

    def about(self) -> About:
        """A new request."""
        return About(project_id=self.project, actor="user:1", request_id=f"req-{self._world.new_id()}")

    def create(
        self,
        *,
        databases: int = 1,
        users: int = 1,
        size_gib: int = 2,
        backup: Backup | None = None,
    ) -> Beginning:
        """Ask for an instance."""
        world, about = self._world, self.about()
        secrets = {world.new_id(): Secret(f"password {number}") for number in range(users)}
        command = CreateInstance(
            name="an instance",
            flavor_id="1",
            volume_size_gib=size_gib,
            databases=tuple(WantedDatabase(name=f"db{number}") for number in range(databases)),
            users=tuple(
                WantedUser(name=f"user{number}", secret_ref=ref) for number, ref in enumerate(secrets)
            ),
            passwords=secrets,
            backup_id=backup.id if backup is not None else None,
        )
        requested = create_instance(
            command,
            instance_id=world.new_id(),
            project_id=self.project,
            offer=OFFER,
            datastores=DATASTORES,
            backup=backup,
        )
        data_key = None
        if backup is not None:
            with world.ledger.reading() as reader:
                data_key = (world.new_id(), world.backup_keys.open(reader, self.project, backup.id))
        beginning = world.starter.create_instance(
            requested,
            request_id=about.request_id,
            now_s=world.now_s(),
            limits=LIMITS,
            secrets=secrets,
            backup=backup,
            data_key=data_key,
        )
        return self._save(beginning, about)

    def back_up(self, instance: Instance) -> Beginning:
        """Ask for a backup."""
        world, about = self._world, self.about()
        requested = create_backup(
            CreateBackup(name="a backup"), instance, backup_id=world.new_id(), drivers=OFFER.drivers
        )
        with world.ledger.reading() as reader:
            key = world.backup_keys.new(reader, self.project, requested.originator_id)
        beginning = world.starter.create_backup(
            requested,
            instance,
            key,
            secret_ref=world.new_id(),
            request_id=about.request_id,
            now_s=world.now_s(),
            limits=LIMITS,
        )
        return self._save(beginning, about)

    def delete_backup(self, backup: Backup) -> Beginning:
        """Ask for the deletion of a backup."""
        check_deletable(backup)
        about = self.about()
        beginning = self._world.starter.delete_backup(
            backup, request_id=about.request_id, now_s=self._world.now_s()
        )
        return self._save(beginning, about)

    def restart(self, instance: Instance) -> Beginning:
        """Ask for a restart."""
        check_actionable(instance)
        return self.on_instance(RESTART_INSTANCE, instance)

    def resize(self, instance: Instance, volume_size_gib: int) -> Beginning:
        """Ask for a larger volume."""
        check_growth(instance, volume_size_gib, OFFER)
        about = self.about()
        beginning = self._world.starter.resize_volume(
            instance,
            volume_size_gib,
            request_id=about.request_id,
            now_s=self._world.now_s(),
            limits=LIMITS,
        )
        return self._save(beginning, about)

    def on_databases(
        self,
        definition: Definition,
        instance: Instance,
        arguments: Arguments,
        secrets: dict[UUID, Secret] | None = None,
    ) -> Beginning:
        """Ask for something about databases, users or the superuser."""
        check_databases_reachable(instance)
        return self.on_instance(definition, instance, arguments, secrets)

    def on_instance(
        self,
        definition: Definition,
        instance: Instance,
        arguments: Arguments | None = None,
        secrets: dict[UUID, Secret] | None = None,
    ) -> Beginning:
        """Ask for anything on an instance, unchecked."""
        about = self.about()
        beginning = self._world.starter.on_instance(
            definition,
            instance,
            request_id=about.request_id,
            now_s=self._world.now_s(),
            arguments=arguments,
            secrets=secrets,
        )
        return self._save(beginning, about)

    def delete(self, instance_id: UUID) -> TakenOver:
        """Ask for the deletion of an instance."""
        head = self._world.ledger.log.head()
        taken = self._world.take_over.delete(instance_id, self.about())
        self._tell_watch(head)
        return taken

    def reset(self, instance_id: UUID) -> TakenOver:
        """Ask, as an administrator, for a reset."""
        head = self._world.ledger.log.head()
        taken = self._world.take_over.reset(instance_id, self.about())
        self._tell_watch(head)
        return taken

    def cancel(self, operation_id: UUID) -> None:
        """Ask an operation to stop."""
        world = self._world
        operation = world.ledger.load(OPERATION, operation_id)
        assert operation is not None
        with world.ledger.reading() as reader:
            waiting = reader.signals(operation_id)
        writes = cancel(
            operation,
            world.catalogue[operation.kind],
            waiting,
            signal_id=world.new_id(),
            now_s=world.now_s(),
        )
        world.ledger.save([], self.about(), writes=writes)

    def _save(self, beginning: Beginning, about: About) -> Beginning:
        saved = self._world.ledger.save(beginning.events, about, writes=beginning.writes)
        self._world.watch.saved(saved.events)
        return beginning

    def _tell_watch(self, head: int) -> None:
        logged = self._world.ledger.log.read(head, 1000)
        self._world.watch.saved([entry.event for entry in logged])
