"""Creating an instance, empty or from a backup."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from muniment.cloud.recipes import CloudResource, GuestSeed, PortRecipe, ServerRecipe, VolumeRecipe
from muniment.contract.manifest import Capability
from muniment.contract.messages import VolumeFacts
from muniment.contract.ops import (
    RESTORE_APPLY,
    SERVER_BOOTSTRAP,
    SERVER_INSTALL,
    VOLUME_PREPARE,
    Bootstrap,
    BootstrapResult,
    Install,
    Installed,
    PrepareVolume,
    RestoreBackup,
)
from muniment.dispatch.guest_keys import forget_guest
from muniment.domain.arguments import RestoreArguments
from muniment.domain.event import Event
from muniment.domain.guest import health_reported
from muniment.domain.instance import (
    EngineInstalled,
    InstanceBecameActive,
    InstanceFailed,
    VolumePrepared,
)
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.domain.resources import EndpointAssigned, Role
from muniment.operations.cloud_steps import Birth, Ensure, Remove, tag_of
from muniment.operations.databases import create_database
from muniment.operations.guest_steps import Act, AwaitGuest, Job
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Each, Ending, Endings, Failure, Step
from muniment.operations.superuser import DISABLE
from muniment.operations.users import create_user
from muniment.store.writes import CommitReservation, ReleaseReservation, WithdrawToken

__all__ = ["CREATE_INSTANCE", "filesystem_uuid"]

_FILESYSTEMS: Final = uuid5(NAMESPACE_URL, "urn:muniment:filesystem")
_VOLUME_GOES: Final = NONE("the volume goes")
_SERVER_GOES: Final = NONE("the server goes")


def filesystem_uuid(volume_id: str) -> UUID:
    """By what a volume's filesystem is known: with it, it is mounted and never formatted."""
    return uuid5(_FILESYSTEMS, volume_id)


def _volume(scene: Scene, birth: Birth) -> VolumeRecipe:
    instance = scene.instance
    return VolumeRecipe(
        tag=tag_of(scene, Role.VOLUME),
        size_gib=instance.volume_size_gib,
        availability_zone=instance.availability_zone,
    )


def _port(scene: Scene, birth: Birth) -> PortRecipe:
    instance = scene.instance
    return PortRecipe(
        tag=tag_of(scene, Role.PORT),
        network_id=instance.network_id,
        port=scene.control.port(),
        is_public=instance.access.is_public,
        allowed_cidrs=instance.access.allowed_cidrs,
    )


def _endpoint(scene: Scene, port: CloudResource) -> Sequence[Event]:
    assert port.endpoint is not None, f"port {port.id} is healthy and has no endpoint"
    return [
        EndpointAssigned(
            originator_id=scene.instance.id,
            originator_version=0,
            address=port.endpoint.address,
            port=port.endpoint.port,
            network_id=port.endpoint.network_id,
        )
    ]


def _server(scene: Scene, birth: Birth) -> ServerRecipe:
    instance = scene.instance
    volume_id, port_id = instance.held(Role.VOLUME), instance.held(Role.PORT)
    assert volume_id is not None, "the volume comes before the server"
    assert port_id is not None, "the port comes before the server"
    return ServerRecipe(
        tag=tag_of(scene, Role.SERVER),
        flavor_id=instance.flavor.id,
        memory_mib=instance.flavor.ram_mib,
        vcpus=instance.flavor.vcpus,
        volume_id=volume_id,
        port_id=port_id,
        availability_zone=instance.availability_zone,
        seed=GuestSeed(
            instance_id=instance.id,
            key_epoch=birth.key_epoch,
            token=birth.token,
            datastore=instance.datastore.datastore,
            memory_mib=instance.flavor.ram_mib,
        ),
    )


def _prepare(scene: Scene) -> PrepareVolume:
    volume_id = scene.instance.held(Role.VOLUME)
    assert volume_id is not None, "the volume comes before its preparation"
    return PrepareVolume(
        volume_id=volume_id,
        filesystem_uuid=filesystem_uuid(volume_id),
        size_gib=scene.instance.volume_size_gib,
    )


def _prepared(scene: Scene, facts: VolumeFacts) -> Sequence[Event]:
    return [
        VolumePrepared(
            originator_id=scene.instance.id,
            originator_version=0,
            filesystem=facts.filesystem,
            reflink=facts.reflink,
            enforced=facts.enforced,
            size_bytes=facts.size_bytes,
        )
    ]


def _install(scene: Scene) -> Install:
    wanted = scene.instance.datastore
    return Install(
        datastore=wanted.datastore,
        version=wanted.number,
        image=wanted.image,
        image_digest=wanted.image_digest,
    )


def _installed(scene: Scene, installed: Installed) -> Sequence[Event]:
    return [
        EngineInstalled(
            originator_id=scene.instance.id,
            originator_version=0,
            server_version=installed.server_version,
            image_digest=installed.image_digest,
        )
    ]


def _is_restored(scene: Scene) -> bool:
    return scene.instance.backup_id is not None


def _may_bring_superuser(scene: Scene) -> bool:
    """A backup holds its instance's superuser, with a password that somebody knows."""
    return _is_restored(scene) and Capability.SUPERUSER in scene.control.manifest.capabilities


def _restore(scene: Scene) -> RestoreBackup:
    backup = scene.backup
    assert backup.completed is not None, "only a completed backup is restored"
    return RestoreBackup(
        backup_id=backup.id,
        source=scene.knowledge.objects.reference(backup.project_id, backup.id, until_s=scene.now_s),
        manifest_sha256=backup.completed.manifest_sha256,
    )


def _restore_key(scene: Scene) -> Mapping[str, UUID]:
    assert isinstance(scene.arguments, RestoreArguments)
    return {"data_key": scene.arguments.secret_ref}


def _bootstrap(scene: Scene) -> Bootstrap:
    instance = scene.instance
    config = scene.control.base_config(version=instance.datastore.number, memory_mib=instance.flavor.ram_mib)
    return Bootstrap(base_config=config, memory_mib=instance.flavor.ram_mib)


def _answers(scene: Scene, result: BootstrapResult) -> Sequence[Event]:
    return health_reported(scene.instance, result.health.state, result.health.detail)


def _active(scene: Scene) -> Ending:
    return Ending(
        [InstanceBecameActive(originator_id=scene.instance.id, originator_version=0)],
        [CommitReservation(scene.operation_id)],
    )


def _failed(scene: Scene, failure: Failure) -> Ending:
    """Everything is confirmed gone by now, so nothing counts any more, and no guest is believed any more."""
    failed = InstanceFailed(
        originator_id=scene.instance.id,
        originator_version=0,
        message=f"{failure.message}; what was made for it is removed, delete the instance and create another",
        details=failure.details,
    )
    return Ending([failed], [ReleaseReservation(scene.operation_id), *forget_guest(scene.instance.id)])


def _taken_over(scene: Scene) -> Ending:
    """What exists stays counted and may be believed, but no guest is born any more from the token of this operation."""
    return Ending([], [WithdrawToken(scene.instance.id)])


CREATE_INSTANCE: Final = Definition(
    kind="create_instance.1",
    wants="create the instance",
    occupies={SubjectKind.INSTANCE: Hold.EXCLUSIVE, SubjectKind.BACKUP: Hold.SHARED},
    optional=frozenset({SubjectKind.BACKUP}),
    steps=(
        Step(
            "ensure_volume",
            Ensure(Role.VOLUME, _volume),
            undo=Remove(Role.VOLUME),
            deadline_s=300,
            complaint="the volume could not be made",
        ),
        Step(
            "ensure_port",
            Ensure(Role.PORT, _port, _endpoint),
            undo=Remove(Role.PORT),
            deadline_s=300,
            complaint="the network port could not be made",
        ),
        Step(
            "ensure_server",
            Ensure(Role.SERVER, _server, enrols=True),
            undo=Remove(Role.SERVER),
            deadline_s=600,
            after=("ensure_volume", "ensure_port"),
            complaint="the server could not be made",
        ),
        Step(
            "await_guest",
            AwaitGuest(),
            undo=NONE("it has no effect"),
            deadline_s=600,
            tries=1,
            after=("ensure_server",),
            complaint="the server did not come up",
        ),
        Step(
            "prepare_volume",
            Act(VOLUME_PREPARE, _prepare, facts=_prepared),
            undo=_VOLUME_GOES,
            after=("await_guest",),
            complaint="the volume could not be prepared",
        ),
        Step(
            "install_server",
            Job(SERVER_INSTALL, _install, facts=_installed),
            undo=_SERVER_GOES,
            after=("await_guest",),
            complaint="the database software could not be installed",
        ),
        Step(
            "restore_backup",
            Job(RESTORE_APPLY, _restore, secrets=_restore_key),
            undo=_VOLUME_GOES,
            only_if=_is_restored,
            after=("prepare_volume", "install_server"),
            complaint="the backup could not be restored",
        ),
        Step(
            "bootstrap",
            Job(SERVER_BOOTSTRAP, _bootstrap, facts=_answers),
            undo=_SERVER_GOES,
            after=("prepare_volume", "install_server", "restore_backup"),
            complaint="the database could not be started",
        ),
        Step(
            "disable_superuser",
            DISABLE,
            undo=_VOLUME_GOES,
            only_if=_may_bring_superuser,
            after=("bootstrap",),
            complaint="the superuser of the backup could not be taken away",
        ),
        Each(
            "create_database",
            items=lambda scene: scene.instance.databases,
            step=create_database(_VOLUME_GOES),
            after=("disable_superuser",),
        ),
        Each(
            "create_user",
            items=lambda scene: scene.instance.users,
            step=create_user(_VOLUME_GOES),
            after=("create_database",),
        ),
    ),
    ends=Endings(succeeded=_active, failed=_failed, taken_over=_taken_over),
)
