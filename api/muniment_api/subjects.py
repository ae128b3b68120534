"""The instance, backup or operation that a path or body names, for requests that work on it: found if it is the caller's."""

from typing import TypeVar
from uuid import UUID

from muniment.contract.manifest import Capability
from muniment.domain.backup import BACKUP, Backup, BackupStatus
from muniment.domain.event import Aggregate
from muniment.domain.history import IllegalHistory
from muniment.domain.instance import INSTANCE, Instance, Lifecycle, check_databases_reachable
from muniment.domain.operation import OPERATION, Operation
from muniment.domain.refused import NotFound
from muniment.store.reader import Reader
from muniment_api.call import Call
from muniment_api.reads import as_id

__all__ = [
    "any_backup",
    "backup_of",
    "find_backup",
    "find_instance",
    "find_operation",
    "instance_of",
    "reachable_instance",
]

S = TypeVar("S", Instance, Backup, Operation)


def find_instance(call: Call, reader: Reader, key: str | UUID) -> Instance:
    """The instance with this id; an administrator finds those of other projects too.

    Raises:
        NotFound: there is none, it is another project's, or it is deleted.
    """
    found = _find(call, reader, INSTANCE, key)
    if found is None or found.lifecycle is Lifecycle.DELETED:
        raise NotFound("instance", key)
    return found


def find_backup(call: Call, reader: Reader, key: str | UUID) -> Backup:
    """The backup with this id; raises as `find_instance`."""
    found = _find(call, reader, BACKUP, key)
    if found is None or found.status is BackupStatus.DELETED:
        raise NotFound("backup", key)
    return found


def find_operation(call: Call, reader: Reader, key: str | UUID) -> Operation:
    """The operation with this id, whether it runs or has ended; raises as `find_instance`."""
    found = _find(call, reader, OPERATION, key)
    if found is None:
        raise NotFound("operation", key)
    return found


def any_backup(reader: Reader, backup_id: UUID) -> Backup | None:
    """The backup with this id, whosever it is, also a deleted one; whether the caller may know of it is not asked."""
    return _load(reader, BACKUP, backup_id)


def instance_of(call: Call) -> Instance:
    """The instance in the path, as it is now; raises as `find_instance`."""
    with call.services.ledger.reading() as reader:
        return find_instance(call, reader, call.path("instance_id"))


def reachable_instance(call: Call, capability: Capability) -> Instance:
    """The instance in the path, for requests that ask its engine.

    Raises:
        NotFound: as `find_instance`.
        Refused: 422, its driver lacks the capability, or the engine cannot be asked now.
    """
    instance = instance_of(call)
    call.services.drivers.require(instance.datastore.datastore, capability)
    check_databases_reachable(instance)
    return instance


def backup_of(call: Call) -> Backup:
    """The backup in the path, as it is now; raises as `find_instance`."""
    with call.services.ledger.reading() as reader:
        return find_backup(call, reader, call.path("backup_id"))


def _find(call: Call, reader: Reader, aggregate: Aggregate[S], key: str | UUID) -> S | None:
    stream = key if isinstance(key, UUID) else as_id(key)
    found = None if stream is None else _load(reader, aggregate, stream)
    if found is None or not (call.caller.is_admin or found.project_id == call.caller.project_id):
        return None
    return found


def _load(reader: Reader, aggregate: Aggregate[S], stream: UUID) -> S | None:
    """None also for the id of something else, which a caller may well have at hand."""
    try:
        return reader.load(aggregate, stream)
    except IllegalHistory:
        return None
