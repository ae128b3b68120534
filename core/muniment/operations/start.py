"""Starting an operation: what the API saves, together with its own events, in one transaction.

The decider of a request says whether it may happen; this says what has to be saved so that it does: the operation's
`Started`, an `Occupied` in each subject's stream, its place in the queue, what it may come to use of the quota, and the
secrets it carries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muniment.dispatch.operation_secrets import USER_SECRET, put_secret
from muniment.domain.arguments import (
    Arguments,
    BackupArguments,
    NoArguments,
    ResizeVolumeArguments,
    RestoreArguments,
)
from muniment.domain.backup import BACKUP, Backup, BackupDeletionRequested, BackupRequested
from muniment.domain.event import Event
from muniment.domain.instance import INSTANCE, Instance, InstanceRequested, check_room_in_line
from muniment.domain.occupancy import Hold, Occupied
from muniment.domain.operation import Started, Subject, SubjectKind, operation_id, verb_of
from muniment.domain.quota import Quota
from muniment.operations.backup_keys import DATA_KEY, NewKey
from muniment.operations.create_backup import CREATE_BACKUP
from muniment.operations.create_instance import CREATE_INSTANCE
from muniment.operations.delete_backup import DELETE_BACKUP
from muniment.operations.resize_volume import RESIZE_VOLUME
from muniment.operations.scene import Knowledge, Scene
from muniment.operations.steps import Definition
from muniment.secret import Secret
from muniment.secrets.vault import Vault
from muniment.store.writes import Enqueue, Reserve, Write

__all__ = ["Beginning", "Starter"]

_BACKUPS: Final = {Quota.BACKUPS: 1}


@dataclass(frozen=True)
class Beginning:
    """What to save for an operation to begin: `ledger.save(events, about, writes=writes)`."""

    operation_id: UUID
    events: Sequence[Event]
    """All of them, those of the request first."""
    writes: Sequence[Write]


class Starter:
    """Makes beginnings. Pure but for the sealing of secrets.

    `request_id` makes the operation's id, with subject and kind: the same request again meets the same id, and its save
    is a Conflict. `now_s` is the present in seconds since 1970.
    """

    def __init__(self, vault: Vault, knowledge: Knowledge) -> None:
        """`vault` seals secrets; `knowledge` is the workers'."""
        self._vault = vault
        self._knowledge = knowledge

    def create_instance(
        self,
        requested: InstanceRequested,
        *,
        request_id: str,
        now_s: float,
        limits: Mapping[str, int],
        secrets: Mapping[UUID, Secret] | None = None,
        backup: Backup | None = None,
        data_key: tuple[UUID, Secret] | None = None,
    ) -> Beginning:
        """A new instance, counted against `limits`. `requested` is the stream's first event and names its project.

        `secrets` holds the users' passwords by their `secret_ref`; a restore takes the backup and its data key under a
        new reference.

        Raises (at the save):
            Refused: `quota-exceeded`, 413.
        """
        assert (backup is None) == (requested.backup_id is None) == (data_key is None), (
            "a restore takes all three"
        )
        instance = INSTANCE.fold(None, [requested])
        beginning = self._begin(
            CREATE_INSTANCE,
            request_id,
            now_s,
            arguments=NoArguments() if data_key is None else RestoreArguments(secret_ref=data_key[0]),
            instance=instance,
            backup=backup,
            before=[requested],
            secrets=dict(secrets or {}),
            data_keys={} if data_key is None else dict([data_key]),
        )
        deltas = {
            Quota.INSTANCES: 1,
            Quota.RAM: requested.flavor.ram_mib,
            Quota.VOLUMES: requested.volume_size_gib,
        }
        return _reserving(beginning, requested.originator_id, requested.project_id, deltas, limits)

    def create_backup(
        self,
        requested: BackupRequested,
        instance: Instance,
        key: NewKey,
        *,
        secret_ref: UUID,
        request_id: str,
        now_s: float,
        limits: Mapping[str, int],
    ) -> Beginning:
        """A new backup of an instance, under a data key of its own; `secret_ref` is a new id for the guest's copy of it.

        Raises:
            Refused: `instance-busy`, 422, too many operations of the instance have not ended.
        """
        check_room_in_line(instance)
        beginning = self._begin(
            CREATE_BACKUP,
            request_id,
            now_s,
            arguments=BackupArguments(secret_ref=secret_ref, key_id=key.key_id),
            instance=instance,
            backup=BACKUP.fold(None, [requested]),
            before=[requested],
            data_keys={secret_ref: key.key},
        )
        beginning = _with_writes(beginning, key.kept)
        return _reserving(beginning, requested.originator_id, requested.project_id, _BACKUPS, limits)

    def delete_backup(self, backup: Backup, *, request_id: str, now_s: float) -> Beginning:
        """The deletion of a backup that nobody uses (`check_deletable`)."""
        requested = BackupDeletionRequested(originator_id=backup.id, originator_version=backup.version + 1)
        return self._begin(
            DELETE_BACKUP,
            request_id,
            now_s,
            backup=BACKUP.fold(backup, [requested]),
            before=[requested],
        )

    def resize_volume(
        self,
        instance: Instance,
        volume_size_gib: int,
        *,
        request_id: str,
        now_s: float,
        limits: Mapping[str, int],
    ) -> Beginning:
        """The growth of an instance's volume (`check_growth`); the difference is counted against `limits`.

        Raises:
            Refused: `instance-busy`, 422, too many operations of the instance have not ended; at the save
                `quota-exceeded`, 413.
        """
        beginning = self.on_instance(
            RESIZE_VOLUME,
            instance,
            request_id=request_id,
            now_s=now_s,
            arguments=ResizeVolumeArguments(volume_size_gib=volume_size_gib),
        )
        deltas = {Quota.VOLUMES: volume_size_gib - instance.volume_size_gib}
        return _reserving(beginning, instance.id, instance.project_id, deltas, limits)

    def on_instance(
        self,
        definition: Definition,
        instance: Instance,
        *,
        request_id: str,
        now_s: float,
        arguments: Arguments | None = None,
        secrets: Mapping[UUID, Secret] | None = None,
    ) -> Beginning:
        """Any operation on an instance alone: a restart, databases, users, grants, the superuser.

        Raises:
            Refused: `instance-busy`, 422, too many operations of the instance have not ended.
        """
        check_room_in_line(instance)
        return self._begin(
            definition,
            request_id,
            now_s,
            arguments=arguments or NoArguments(),
            instance=instance,
            secrets=dict(secrets or {}),
        )

    def _begin(
        self,
        definition: Definition,
        request_id: str,
        now_s: float,
        *,
        arguments: Arguments | None = None,
        instance: Instance | None = None,
        backup: Backup | None = None,
        before: Sequence[Event] = (),
        secrets: Mapping[UUID, Secret] | None = None,
        data_keys: Mapping[UUID, Secret] | None = None,
    ) -> Beginning:
        subjects = _subjects(definition, instance, backup)
        made = operation_id(subjects[0].id, definition.kind, request_id)
        scene = Scene(
            operation_id=made,
            arguments=arguments or NoArguments(),
            knowledge=self._knowledge,
            now_s=now_s,
            found_instance=instance,
            found_backup=backup,
        )
        started = Started(
            originator_id=made,
            originator_version=1,
            kind=definition.kind,
            subjects=subjects,
            arguments=scene.arguments,
            steps=tuple(step.name for step in definition.place(scene)),
        )
        assert started.steps, f"{definition.kind} with nothing to do"
        occupied = [
            Occupied(
                originator_id=state.id,
                originator_version=state.version + 1,
                operation_id=made,
                kind=verb_of(definition.kind),
                hold=subject.hold,
            )
            for subject, state in zip(subjects, _states(definition, instance, backup), strict=True)
        ]
        expires_s = now_s + self._knowledge.timing.secrets_s
        sealed = [
            put_secret(self._vault, secret, ref=ref, operation_id=made, expires_s=expires_s, purpose=purpose)
            for purpose, rows in ((USER_SECRET, secrets or {}), (DATA_KEY, data_keys or {}))
            for ref, secret in rows.items()
        ]
        return Beginning(
            made, [*before, started, *occupied], [Enqueue(made, definition.kind, now_s), *sealed]
        )


def _states(
    definition: Definition, instance: Instance | None, backup: Backup | None
) -> list[Instance | Backup]:
    """The subjects' states, the one that names the operation first: the one that it makes or unmakes."""
    by_kind: dict[SubjectKind, Instance | Backup | None] = {
        SubjectKind.INSTANCE: instance,
        SubjectKind.BACKUP: backup,
    }
    kinds = sorted(definition.occupies, key=lambda kind: definition.occupies[kind] is not Hold.EXCLUSIVE)
    found = [by_kind[kind] for kind in kinds if kind not in definition.optional or by_kind[kind] is not None]
    assert all(state is not None for state in found), f"{definition.kind} lacks a subject"
    return [state for state in found if state is not None]


def _subjects(
    definition: Definition, instance: Instance | None, backup: Backup | None
) -> tuple[Subject, ...]:
    kinds = {Instance: SubjectKind.INSTANCE, Backup: SubjectKind.BACKUP}
    return tuple(
        Subject(kind=kinds[type(state)], id=state.id, hold=definition.occupies[kinds[type(state)]])
        for state in _states(definition, instance, backup)
    )


def _with_writes(beginning: Beginning, *writes: Write) -> Beginning:
    return Beginning(beginning.operation_id, beginning.events, [*beginning.writes, *writes])


def _reserving(
    beginning: Beginning,
    subject_id: UUID,
    project_id: str,
    deltas: Mapping[Quota, int],
    limits: Mapping[str, int],
) -> Beginning:
    plain = {str(resource): delta for resource, delta in deltas.items()}
    return _with_writes(beginning, Reserve(beginning.operation_id, subject_id, project_id, plain, limits))
