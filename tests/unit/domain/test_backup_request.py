"""The decider of a backup request."""

from uuid import UUID

import msgspec
import pytest
from tests.simulation.control_driver import SimulatedControl
from tests.simulation.requests import DATASTORES, OFFER

from muniment.contract.manifest import Capability, Manifest
from muniment.domain.backup import BackupRequested
from muniment.domain.backup_request import CreateBackup, create_backup
from muniment.domain.drivers import Drivers
from muniment.domain.instance import INSTANCE, Instance, InstanceBecameActive
from muniment.domain.instance_request import CreateInstance, create_instance
from muniment.domain.refused import Refused

ID, INSTANCE_ID = UUID(int=1), UUID(int=2)
COMMAND = CreateBackup(name="nightly", description="before the sale")


class NoBackups(SimulatedControl):
    """A control half that cannot back up."""

    @property
    def manifest(self) -> Manifest:
        """The simulated one, less backups."""
        whole = super().manifest
        return msgspec.structs.replace(whole, capabilities=whole.capabilities - {Capability.BACKUP_FULL})


def building() -> Instance:
    """An instance that was just asked for."""
    requested = create_instance(
        CreateInstance(name="orders", flavor_id="1", volume_size_gib=2),
        instance_id=INSTANCE_ID,
        project_id="red",
        offer=OFFER,
        datastores=DATASTORES,
        backup=None,
    )
    instance = INSTANCE.fold(None, [requested])
    assert instance is not None
    return instance


def running() -> Instance:
    """An instance whose database answers."""
    active = InstanceBecameActive(originator_id=INSTANCE_ID, originator_version=2)
    instance = INSTANCE.fold(building(), [active])
    assert instance is not None
    return msgspec.structs.replace(instance, health="healthy")


def test_a_backup_belongs_to_the_project_of_its_instance() -> None:
    """Whoever asks for it; it remembers which version of the datastore it is of."""
    instance = running()
    assert create_backup(COMMAND, instance, backup_id=ID, drivers=OFFER.drivers) == BackupRequested(
        originator_id=ID,
        originator_version=1,
        project_id="red",
        instance_id=INSTANCE_ID,
        name="nightly",
        description="before the sale",
        datastore=instance.datastore,
    )


@pytest.mark.parametrize(
    ("command", "instance", "drivers", "word"),
    [
        (COMMAND, running(), Drivers({"simulated": NoBackups()}), "backup.full"),
        (CreateBackup(name="n", is_incremental=True), running(), OFFER.drivers, "backup.incremental"),
        (COMMAND, building(), OFFER.drivers, "wait until it is active"),
        (COMMAND, msgspec.structs.replace(running(), health="lost"), OFFER.drivers, "is lost"),
    ],
    ids=["driver", "incremental", "building", "lost"],
)
def test_what_stands_in_the_way_is_named(
    command: CreateBackup, instance: Instance, drivers: Drivers, word: str
) -> None:
    """Every refusal is a 422 with its reason."""
    with pytest.raises(Refused) as refused:
        create_backup(command, instance, backup_id=ID, drivers=drivers)
    assert refused.value.status == 422
    assert word in refused.value.message
