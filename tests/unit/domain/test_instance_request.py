"""The decider of a create request: what it makes of plain values, and what it refuses, fed with facts alone."""

from dataclasses import replace
from uuid import UUID

import msgspec
import pytest
from tests.simulation.control_driver import SimulatedControl
from tests.simulation.requests import DATASTORES, OFFER

from muniment.contract.errors import RejectedName
from muniment.contract.manifest import Capability, Manifest
from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.backup import Backup, BackupCompleted, BackupStatus
from muniment.domain.datastore import Datastore, WantedVersion
from muniment.domain.drivers import Drivers
from muniment.domain.instance import Access, InstanceRequested, VersionFacts
from muniment.domain.instance_request import CreateInstance, create_instance
from muniment.domain.offer import Offer, WantedNic
from muniment.domain.refused import Refused
from muniment.secret import Secret

ID, REF, BACKUP_ID = UUID(int=1), UUID(int=2), UUID(int=3)
(SIMULATED,) = DATASTORES
(VERSION,) = SIMULATED.versions.values()
COMMAND = CreateInstance(name="orders", flavor_id="1", volume_size_gib=2)
USER = WantedUser(name="app", databases=("shop",), secret_ref=REF)
BACKUP = Backup(
    id=BACKUP_ID,
    version=3,
    project_id="red",
    instance_id=UUID(int=4),
    name="nightly",
    description=None,
    datastore=VersionFacts(
        datastore="simulated", version_id=VERSION.id, name="1", number="1.0", driver="simulated"
    ),
    method="full",
    parent_id=None,
    created_at=None,
    updated_at=None,
    status=BackupStatus.COMPLETED,
    completed=BackupCompleted(
        originator_id=BACKUP_ID,
        originator_version=3,
        location="somewhere",
        plain_bytes=2**31,
        stored_bytes=1,
        segments=1,
        manifest_sha256="",
        server_version="1.0",
        key_id="",
    ),
)


class Picky(SimulatedControl):
    """A control half without some abilities, which also refuses one name and one password."""

    def __init__(self, *lacking: Capability) -> None:
        self._lacking = frozenset(lacking)

    @property
    def manifest(self) -> Manifest:
        """The simulated one, less some abilities."""
        whole = super().manifest
        return msgspec.structs.replace(whole, capabilities=whole.capabilities - self._lacking)

    def check_password(self, password: Secret) -> None:
        """Refuse one."""
        if password.reveal() == b"bad":
            raise RejectedName("password", "that one is too short")


def decide(
    command: CreateInstance = COMMAND,
    *,
    offer: Offer = OFFER,
    datastores: tuple[Datastore, ...] = DATASTORES,
    backup: Backup | None = None,
) -> InstanceRequested:
    """Decide the command for project `red`."""
    return create_instance(
        command, instance_id=ID, project_id="red", offer=offer, datastores=datastores, backup=backup
    )


def asked(**more: object) -> CreateInstance:
    """The plainest command that is good, and more."""
    return msgspec.structs.replace(COMMAND, **more)


def test_a_plain_request_takes_what_is_usual() -> None:
    """The one datastore, its default version, the default network and the region of the installation."""
    assert decide() == InstanceRequested(
        originator_id=ID,
        originator_version=1,
        project_id="red",
        name="orders",
        flavor=OFFER.flavors["1"],
        volume_size_gib=2,
        datastore=BACKUP.datastore,
        region="RegionOne",
        network_id="net-1",
    )


def test_accounts_come_in_the_normal_form_of_the_datastore() -> None:
    """Where hosts mean nothing, any host is none; databases and references stay as they were said."""
    command = asked(
        databases=(WantedDatabase(name="shop"),),
        users=(msgspec.structs.replace(USER, host="%"),),
        passwords={REF: Secret("long enough")},
    )
    decided = decide(command)
    assert decided.databases == command.databases
    assert decided.users == (USER,)


@pytest.mark.parametrize(
    "wanted",
    [
        WantedVersion(datastore="simulated"),
        WantedVersion(datastore=str(SIMULATED.id).upper()),
        WantedVersion(version="1"),
        WantedVersion(version=VERSION.id.hex),
        WantedVersion(number="1.0"),
        WantedVersion(datastore="simulated", version="1", number="1.0"),
    ],
    ids=str,
)
def test_a_version_has_several_names(wanted: WantedVersion) -> None:
    """Datastore and version are found by name and by id, the version by its number too."""
    assert decide(asked(version=wanted)).datastore.version_id == VERSION.id


@pytest.mark.parametrize(
    ("command", "code", "status"),
    [
        (asked(replica_of="x"), "no-replication", 422),
        (asked(replica_count=2), "bad-request", 400),
        (asked(configuration="tuned"), "not-found", 404),
        (asked(has_modules=True), "no-modules", 400),
        (asked(region="elsewhere"), "other-region", 400),
        (asked(volume_size_gib=None), "no-volume", 400),
        (asked(volume_type="ssd"), "no-volume-type", 400),
        (asked(volume_size_gib=16_385), "volume-too-large", 413),
        (asked(flavor_id=None), "no-flavor", 400),
        (asked(flavor_id="9"), "unknown-flavor", 400),
        (asked(version=WantedVersion(datastore="mongodb")), "not-found", 404),
        (asked(version=WantedVersion(version="9")), "bad-version", 400),
        (asked(version=WantedVersion(version="1", number="2")), "bad-version", 400),
        (asked(users=(USER,), passwords={REF: Secret("x")}), "unknown-database", 400),
        (asked(databases=(WantedDatabase(name="a"), WantedDatabase(name="a"))), "duplicate", 400),
        (asked(nic=WantedNic()), "no-network", 400),
        (asked(nic=WantedNic(network_id="other")), "unknown-network", 400),
        (asked(nic=WantedNic(network_id="net-1", subnet_id="s")), "unknown-network", 400),
        (asked(nic=WantedNic(network_id="net-1", has_address=True)), "no-fixed-address", 400),
        (asked(nic=WantedNic(port_id="p")), "no-tenant-ports", 400),
        (asked(access=Access(allowed_cidrs=("10.0.0.0/8",))), "no-allowed-cidrs", 422),
        (asked(backup_id=BACKUP_ID), "not-found", 404),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_what_is_not_there_is_refused(command: CreateInstance, code: str, status: int) -> None:
    """Each choice that cannot be had is refused by its code and status."""
    with pytest.raises(Refused) as refused:
        decide(command)
    assert (refused.value.code, refused.value.status) == (code, status)


@pytest.mark.parametrize(
    ("offer", "command", "code"),
    [
        (replace(OFFER, default_network=None), COMMAND, "no-network"),
        (replace(OFFER, drivers=Drivers({})), COMMAND, "no-datastore"),
        (
            replace(OFFER, drivers=Drivers({"simulated": Picky(Capability.DATABASES)})),
            asked(databases=(WantedDatabase(name="a"),)),
            "not-capable",
        ),
        (
            replace(OFFER, drivers=Drivers({"simulated": Picky(Capability.USERS)})),
            asked(users=(WantedUser(name="a", secret_ref=REF),), passwords={REF: Secret("x")}),
            "not-capable",
        ),
        (
            replace(OFFER, drivers=Drivers({"simulated": Picky()})),
            asked(users=(WantedUser(name="a", secret_ref=REF),), passwords={REF: Secret("bad")}),
            "bad-name",
        ),
    ],
    # An offer's own text holds addresses and sets, which two processes of one test run write differently.
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_an_installation_lacks_is_refused(offer: Offer, command: CreateInstance, code: str) -> None:
    """The same request is good in one installation and refused in another."""
    with pytest.raises(Refused) as refused:
        decide(command, offer=offer)
    assert refused.value.code == code


def test_an_inactive_version_is_not_to_be_had() -> None:
    """Neither by its name nor as the default."""
    asleep = msgspec.structs.replace(VERSION, active=False)
    datastores = (msgspec.structs.replace(SIMULATED, versions={asleep.id: asleep}),)
    for command, code in (
        (asked(version=WantedVersion(version="1")), "inactive-version"),
        (COMMAND, "no-version"),
    ):
        with pytest.raises(Refused) as refused:
            decide(command, datastores=datastores)
        assert refused.value.code == code


def test_no_allowed_cidrs_are_nothing_said_where_none_can_be_kept_to() -> None:
    """An empty list is an open port in Trove, and so it is recorded; a cloud that keeps to the list gets it as it was said."""
    command = asked(access=Access(is_public=False, allowed_cidrs=()))
    assert decide(command).access == Access(is_public=False)
    assert decide(command, offer=replace(OFFER, enforces_allowed_cidrs=True)).access == command.access


def test_a_good_backup_is_restored() -> None:
    """It is named by the event; the volume may have exactly the size of what the backup holds, as here."""
    assert decide(asked(backup_id=BACKUP_ID), backup=BACKUP).backup_id == BACKUP_ID
    assert BACKUP.completed is not None
    assert BACKUP.completed.plain_bytes == COMMAND.volume_size_gib * 2**30


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"project_id": "blue"}, "not-found", 404),
        ({"status": BackupStatus.DELETED}, "not-found", 404),
        ({"status": BackupStatus.BUILDING}, "backup-not-complete", 409),
        (
            {"completed": msgspec.structs.replace(BACKUP.completed, plain_bytes=2**31 + 1)},
            "backup-too-large",
            403,
        ),
        (
            {"datastore": msgspec.structs.replace(BACKUP.datastore, datastore="mysql")},
            "other-datastore",
            400,
        ),
        (
            {"completed": msgspec.structs.replace(BACKUP.completed, server_version="0.9")},
            "other-version",
            400,
        ),
    ],
    ids=str,
)
def test_a_backup_that_does_not_fit_is_refused(changes: dict[str, object], code: str, status: int) -> None:
    """It must be the project's own, complete, small enough, and of the same datastore and version."""
    with pytest.raises(Refused) as refused:
        decide(asked(backup_id=BACKUP_ID), backup=msgspec.structs.replace(BACKUP, **changes))
    assert (refused.value.code, refused.value.status) == (code, status)


def test_a_driver_that_cannot_restore_says_so() -> None:
    """Before anything is said about the backup."""
    offer = replace(OFFER, drivers=Drivers({"simulated": Picky(Capability.RESTORE)}))
    with pytest.raises(Refused, match="lacks the capability restore"):
        decide(asked(backup_id=BACKUP_ID), offer=offer, backup=BACKUP)
