"""Taking over: delete and reset end whatever runs on an instance, in one transaction of the API.

There is no moment with two live owners and no step to crash in: the same save that ends the occupants begins what
follows. Reservations stay as they are, since what may exist stays counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from muniment.clock import Clock, seconds
from muniment.domain.backup import BACKUP, Backup
from muniment.domain.event import About, Event
from muniment.domain.instance import (
    INSTANCE,
    DeletionRequested,
    EpochRaised,
    Instance,
    InstanceReset,
    Lifecycle,
)
from muniment.domain.occupancy import Released
from muniment.domain.operation import OPERATION, Completed, End, Operation, SubjectKind
from muniment.domain.refused import NotFound, Refused
from muniment.operations.catalogue import CATALOGUE
from muniment.operations.delete_instance import DELETE_INSTANCE
from muniment.operations.scene import Knowledge, Scene
from muniment.operations.start import Starter
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger, Saved
from muniment.store.reader import Reader
from muniment.store.writes import EndOperation, Write

__all__ = ["TakeOver", "TakenOver"]

_TRIES = 10


@dataclass(frozen=True)
class TakenOver:
    """What a delete or reset did."""

    operation_id: UUID | None
    """The deletion that runs now; none after a reset."""
    position: int
    """Of the log, for who waits until it can be read; 0 when nothing was done, since the deletion ran already."""


@dataclass(frozen=True)
class _Occupant:
    operation: Operation
    backup: Backup | None


class TakeOver:
    """Delete and reset of instances, for the API."""

    def __init__(self, ledger: Ledger, starter: Starter, knowledge: Knowledge, clock: Clock) -> None:
        """`starter` begins the deletion."""
        self._ledger = ledger
        self._starter = starter
        self._knowledge = knowledge
        self._clock = clock

    def delete(self, instance_id: UUID, about: About) -> TakenOver:
        """Begin the deletion of an instance in whatever state; nothing more to do when it is going already.

        Raises:
            NotFound: there is no such instance, or it is gone.
            Conflict: others were faster many times in a row.
        """
        for left in reversed(range(_TRIES)):
            instance, occupants = self._read(instance_id)
            if instance.lifecycle is Lifecycle.DELETING:
                return TakenOver(instance.occupants[0].operation_id, 0)
            ending = _Ending(instance, self._knowledge, seconds(self._clock.now()))
            ending.end_all(occupants, End.TAKEN_OVER, "the instance is being deleted")
            ending.say(DeletionRequested(originator_id=instance.id, originator_version=0))
            beginning = self._starter.on_instance(
                DELETE_INSTANCE, ending.instance, request_id=about.request_id, now_s=ending.now_s
            )
            ending.events += beginning.events
            ending.writes += beginning.writes
            if (saved := self._save(ending, about, is_last=left == 0)) is not None:
                return TakenOver(beginning.operation_id, saved.position)
        raise AssertionError("at least one try")

    def reset(self, instance_id: UUID, about: About) -> TakenOver:
        """End whatever runs on an instance and start nothing: one that was active stays so, a building one is in error.

        What the ended operations may still bring about stays counted, and goes with the deletion of the instance.

        Raises:
            NotFound: there is no such instance, or it is gone.
            Refused: it is being deleted, which nothing takes over.
            Conflict: others were faster many times in a row.
        """
        for left in reversed(range(_TRIES)):
            instance, occupants = self._read(instance_id)
            if instance.lifecycle is Lifecycle.DELETING:
                raise Refused("instance-deleting", f"instance {instance.id} is being deleted; that goes on")
            ending = _Ending(instance, self._knowledge, seconds(self._clock.now()))
            ending.end_all(occupants, End.RESET, "an administrator reset the instance")
            ending.say(InstanceReset(originator_id=instance.id, originator_version=0))
            if (saved := self._save(ending, about, is_last=left == 0)) is not None:
                return TakenOver(None, saved.position)
        raise AssertionError("at least one try")

    def _read(self, instance_id: UUID) -> tuple[Instance, list[_Occupant]]:
        with self._ledger.reading() as reader:
            instance = reader.load(INSTANCE, instance_id)
            if instance is None or instance.lifecycle is Lifecycle.DELETED:
                raise NotFound("instance", instance_id)
            return instance, [_occupant(reader, o.operation_id) for o in instance.occupants]

    def _save(self, ending: "_Ending", about: About, *, is_last: bool) -> Saved | None:
        # The streams belong to the instance's project, also where an administrator of another one asks.
        owned = msgspec.structs.replace(about, project_id=ending.instance.project_id)
        try:
            return self._ledger.save(ending.events, owned, writes=ending.writes)
        except Conflict:
            if is_last:
                raise
            return None


def _occupant(reader: Reader, operation_id: UUID) -> _Occupant:
    operation = reader.load(OPERATION, operation_id)
    assert operation is not None, f"operation {operation_id} occupies an instance and has no stream"
    subject = operation.subject(SubjectKind.BACKUP)
    return _Occupant(operation, reader.load(BACKUP, subject.id) if subject is not None else None)


class _Ending:
    """What ends the occupants of an instance."""

    def __init__(self, instance: Instance, knowledge: Knowledge, now_s: float) -> None:
        self.instance = instance
        self.now_s = now_s
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self._knowledge = knowledge
        self._versions: dict[UUID, int] = {}

    def say(self, event: Event) -> None:
        """Decide an event, at the next version of its stream."""
        if event.originator_id == self.instance.id:
            event = _placed(event, self.instance.version)
            folded = INSTANCE.fold(self.instance, [event])
            assert folded is not None
            self.instance = folded
        else:
            event = _placed(event, self._versions[event.originator_id])
            self._versions[event.originator_id] += 1
        self.events.append(event)

    def end_all(self, occupants: Sequence[_Occupant], outcome: End, reason: str) -> None:
        """End every occupant in all its subjects, and make stale whatever is on its way to the guest."""
        for occupant in occupants:
            self._end(occupant, outcome, reason)
        epoch = self.instance.epoch + 1
        self.say(EpochRaised(originator_id=self.instance.id, originator_version=0, epoch=epoch))

    def _end(self, occupant: _Occupant, outcome: End, reason: str) -> None:
        operation, backup = occupant.operation, occupant.backup
        self._versions[operation.id] = operation.version
        if backup is not None:
            self._versions.setdefault(backup.id, backup.version)
        scene = Scene(
            operation_id=operation.id,
            arguments=operation.arguments,
            knowledge=self._knowledge,
            now_s=self.now_s,
            found_instance=self.instance,
            found_backup=backup,
        )
        ending = CATALOGUE[operation.kind].ends.taken_over(scene)
        for event in ending.events:
            self.say(event)
        for subject in operation.subjects:
            self.say(Released(originator_id=subject.id, originator_version=0, operation_id=operation.id))
        self.say(
            Completed(
                originator_id=operation.id,
                originator_version=0,
                outcome=outcome,
                message=f"stopped: {reason}",
                reason=reason,
            )
        )
        self.writes += [*ending.writes, EndOperation(operation.id, None)]


def _placed(event: Event, version: int) -> Event:
    return msgspec.structs.replace(event, originator_version=version + 1)
