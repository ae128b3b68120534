"""How requests start operations: what the engine says is to be saved, saved with the request's own events."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID, uuid4

import msgspec

from muniment.clock import seconds
from muniment.domain.arguments import Arguments, NoArguments
from muniment.domain.backup import Backup, BackupRequested
from muniment.domain.event import About
from muniment.domain.instance import INSTANCE, Instance, InstanceRequested, check_databases_reachable
from muniment.domain.offer import Offer
from muniment.domain.quota import PROJECT_QUOTA, limits_of, quota_id
from muniment.domain.volume_growth import check_growth
from muniment.operations.start import Beginning
from muniment.operations.steps import Definition
from muniment.secret import Secret
from muniment.store.reader import Reader
from muniment_api.call import Call
from muniment_api.commands import Decided
from muniment_api.subjects import find_instance

__all__ = [
    "Order", "about_owner", "backup_begins", "backup_deletion_begins", "creation_begins",
    "growth_begins", "start_on",
]  # fmt: skip


def about_owner(call: Call, project_id: str) -> About:
    """The authorship of what happens to a stream of that project, also where an administrator of another one asks."""
    return msgspec.structs.replace(call.about, project_id=project_id)


class Order(msgspec.Struct, frozen=True):
    """What an operation is to do beyond its subject, and the passwords for it by their `secret_ref`."""

    arguments: Arguments = NoArguments()
    passwords: Mapping[UUID, Secret] = {}


def start_on(
    call: Call,
    definition: Definition,
    instance: Instance,
    *orders: Order,
    check: Callable[[Instance], None] = check_databases_reachable,
) -> UUID:
    """Start an operation on an instance that passes the check at that moment; returns the operation's id.

    With several orders it starts as many operations, all or none; without any, one that needs no arguments.

    Raises:
        Refused: by the check, or the instance is gone.
    """
    started: list[UUID] = []

    def decide(reader: Reader) -> Decided:
        found = find_instance(call, reader, instance.id)
        check(found)
        begun = _beginnings(call, definition, found, orders or (Order(),))
        started[:] = [beginning.operation_id for beginning in begun]
        return [event for b in begun for event in b.events], [write for b in begun for write in b.writes]

    call.services.commands.commit(about_owner(call, instance.project_id), decide)
    return started[0]


def _beginnings(
    call: Call, definition: Definition, instance: Instance, orders: Sequence[Order]
) -> list[Beginning]:
    begun = []
    for part, order in enumerate(orders):
        beginning = call.services.starter.on_instance(
            definition,
            instance,
            # One request is one operation of a kind on an instance, by its id; further ones need ids of their own.
            request_id=f"{call.request_id}/{part}" if part else call.request_id,
            now_s=_now_s(call),
            arguments=order.arguments,
            secrets=order.passwords,
        )
        begun.append(beginning)
        own = [event for event in beginning.events if event.originator_id == instance.id]
        after = INSTANCE.fold(instance, own)
        assert after is not None, "an instance does not fold into nothing"
        instance = after
    return begun


def creation_begins(
    call: Call,
    reader: Reader,
    requested: InstanceRequested,
    passwords: Mapping[UUID, Secret],
    backup: Backup | None,
) -> Decided:
    """What is saved for a new instance, counted against its project's limits."""
    services = call.services
    data_key = None
    if backup is not None:
        data_key = (uuid4(), services.backup_keys.open(reader, backup.project_id, backup.id))
    beginning = services.starter.create_instance(
        requested,
        request_id=call.request_id,
        now_s=_now_s(call),
        limits=_limits(call, reader, requested.project_id),
        secrets=passwords,
        backup=backup,
        data_key=data_key,
    )
    return beginning.events, beginning.writes


def growth_begins(
    call: Call, reader: Reader, instance: Instance, volume_size_gib: int, offer: Offer
) -> Decided:
    """What is saved for a larger volume, the difference counted against the limits of the instance's project."""
    check_growth(instance, volume_size_gib, offer)
    beginning = call.services.starter.resize_volume(
        instance,
        volume_size_gib,
        request_id=call.request_id,
        now_s=_now_s(call),
        limits=_limits(call, reader, instance.project_id),
    )
    return beginning.events, beginning.writes


def backup_begins(call: Call, reader: Reader, instance: Instance, requested: BackupRequested) -> Decided:
    """What is saved for a new backup, with a data key of its own."""
    services, project_id = call.services, requested.project_id
    beginning = services.starter.create_backup(
        requested,
        instance,
        services.backup_keys.new(reader, project_id, requested.originator_id),
        secret_ref=uuid4(),
        request_id=call.request_id,
        now_s=_now_s(call),
        limits=_limits(call, reader, project_id),
    )
    return beginning.events, beginning.writes


def backup_deletion_begins(call: Call, backup: Backup) -> Decided:
    """What is saved for the deletion of a backup."""
    beginning = call.services.starter.delete_backup(backup, request_id=call.request_id, now_s=_now_s(call))
    return beginning.events, beginning.writes


def _limits(call: Call, reader: Reader, project_id: str) -> dict[str, int]:
    set_for_project = reader.load(PROJECT_QUOTA, quota_id(project_id))
    return limits_of(set_for_project, call.services.default_limits)


def _now_s(call: Call) -> float:
    return seconds(call.services.clock.now())
