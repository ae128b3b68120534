"""Making the calls of a plan: the only place of the engine where something outside is touched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from muniment.cloud.cloud import Cloud, CloudRefused, ObjectStore
from muniment.cloud.recipes import CloudResource, Condition, Kind
from muniment.fault import Fault
from muniment.operations.calls import (
    Absent,
    Another,
    Building,
    Call,
    Enrolment,
    Ensured,
    Errored,
    ExtendVolume,
    FindOrCreate,
    Gone,
    Look,
    LookAtSize,
    NoAnswer,
    NotMade,
    Observation,
    Purge,
    Purged,
    Refusal,
    Remains,
    RemoveResource,
    Removing,
    Sight,
    Sighted,
    Sized,
)
from muniment.secret import Secret

__all__ = ["Performer"]


@dataclass(frozen=True)
class Performer:
    """Makes calls to a cloud and an object store; whatever they raise becomes an observation."""

    cloud: Cloud
    objects: ObjectStore
    now_s: Callable[[], float]

    def perform(self, call: Call, *, open_enrolment: Callable[[Enrolment], Secret]) -> Observation:
        """Make one call and say what came of it.

        `open_enrolment` is called directly before a server is made; it raises ClaimLost where another worker owns the
        operation by now, and then nothing was made.
        """
        try:
            match call:
                case FindOrCreate():
                    return self._find_or_create(call, open_enrolment)
                case Look():
                    return self._look(call)
                case ExtendVolume():
                    return self._extend(call)
                case LookAtSize():
                    return self._look_at_size(call.volume_id)
                case Sight():
                    return self._sight(call)
                case RemoveResource():
                    return self._remove(call)
                case Purge():
                    return Purged(self.objects.purge(call.reference))
        except CloudRefused as refused:
            return Refusal(refused.message, refused.retryable, refused.for_owner)
        except Fault as fault:
            return NoAnswer(f"{fault.port}: {fault.message}")

    def _find_or_create(
        self, call: FindOrCreate, open_enrolment: Callable[[Enrolment], Secret]
    ) -> Observation:
        if self.now_s() > call.call_by_s:
            return NotMade()
        if found := self.cloud.find(call.kind, call.tag):
            return self._settle(found, discard=False)
        token = open_enrolment(call.enrolment) if call.enrolment is not None else Secret(b"")
        recipe = call.recipe(token)
        # Directly before the call, since all that came before took its time: a look begun after the permit's end plus
        # the effect's time must be final.
        if self.now_s() > call.call_by_s:
            return NotMade()
        return self._settle([self.cloud.create(recipe)], discard=False)

    def _look(self, call: Look) -> Observation:
        began_s = self.now_s()
        found = self.cloud.find(call.kind, call.tag)
        discard = call.discard_by_s is not None and self.now_s() <= call.discard_by_s
        return self._settle(found, discard=discard) if found else Absent(began_s)

    def _extend(self, call: ExtendVolume) -> Observation:
        seen = self._look_at_size(call.volume_id)
        if not isinstance(seen, Sized) or seen.size_gib >= call.size_gib:
            return seen
        if self.now_s() > call.call_by_s:
            return NotMade()
        self.cloud.extend(call.volume_id, call.size_gib)
        return self._look_at_size(call.volume_id)

    def _look_at_size(self, volume_id: str) -> Observation:
        began_s = self.now_s()
        volume = self.cloud.get(Kind.VOLUME, volume_id)
        if volume is None or volume.condition in (Condition.DELETING, Condition.ERRORED):
            reason = "gone" if volume is None else f"{volume.condition} {volume.reason}".rstrip()
            raise CloudRefused(f"volume {volume_id} is {reason}", retryable=False)
        if volume.condition is Condition.BUILDING:
            return Building(volume_id)
        assert volume.size_gib is not None, f"volume {volume_id} has no size"
        return Sized(volume.size_gib, began_s)

    def _settle(self, found: Sequence[CloudResource], *, discard: bool) -> Observation:
        """What a find means: a healthy one counts, one that is being made is waited for, the rest has to go first."""
        healthy = [r for r in found if r.condition is Condition.HEALTHY]
        if healthy:
            return Ensured(healthy[0])
        building = [r for r in found if r.condition is Condition.BUILDING]
        if building and not discard:
            return Building(building[0].id)
        reason = "; ".join(r.reason for r in found if r.reason) or (
            "not ready in time" if discard else "errored"
        )
        for resource in found:
            if resource.condition is not Condition.DELETING:
                self.cloud.delete(resource.kind, resource.id)
        left = [r for r in found if self.cloud.get(r.kind, r.id) is not None]
        return Removing(reason) if left else Errored(reason)

    def _remove(self, call: RemoveResource) -> Observation:
        resource = self.cloud.get(call.kind, call.resource_id)
        if resource is not None:
            if resource.condition is not Condition.DELETING:
                self.cloud.delete(call.kind, call.resource_id)
            resource = self.cloud.get(call.kind, call.resource_id)
        if resource is not None:
            return Remains(resource.reason or f"{call.kind} {call.resource_id} is {resource.condition}")
        twins = self.cloud.find(call.kind, call.tag)
        return Another(twins[0].id) if twins else Gone()

    def _sight(self, call: Sight) -> Observation:
        began_s = self.now_s()
        found = self.cloud.find(call.kind, call.tag)
        return Sighted(tuple(r.id for r in found)) if found else Absent(began_s)
