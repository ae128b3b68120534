"""Making the calls of a plan: the only place of the engine where something outside is touched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from muniment.cloud.cloud import Cloud, CloudRefused, ObjectStore
from muniment.cloud.recipes import CloudResource, Condition
from muniment.fault import Fault
from muniment.operations.calls import (
    Absent,
    Another,
    Building,
    Call,
    Enrolment,
    Ensured,
    Errored,
    FindOrCreate,
    Gone,
    Look,
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
