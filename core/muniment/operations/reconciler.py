"""The reconciler: what the cloud has under our tags and no instance's resource list holds.

The engine's rules make such an orphan only when a process stops exactly between its last look at the clock and its call;
or after the control plane was restored from a backup. It is an alarm for people: nothing is removed unless an operator
says so, and then only what is still an orphan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from muniment.clock import Clock, seconds
from muniment.cloud.cloud import Cloud
from muniment.cloud.recipes import CloudResource
from muniment.domain.instance import INSTANCE, Instance, Lifecycle
from muniment.domain.resources import Role
from muniment.operations.timing import Timing
from muniment.store.ledger import Ledger

__all__ = ["Orphan", "Reconciler"]


@dataclass(frozen=True)
class Orphan:
    """A resource that nobody holds."""

    resource: CloudResource
    reason: str
    """Why it is one, for operators."""


class Reconciler:
    """Compares the cloud with the ledger."""

    def __init__(self, ledger: Ledger, cloud: Cloud, clock: Clock, timing: Timing) -> None:
        """`timing` says how long a resource may be on its way into a resource list."""
        self._ledger = ledger
        self._cloud = cloud
        self._clock = clock
        self._oldest_permit_s = timing.permit_s + timing.effect_s + timing.lease_s

    def orphans(self) -> Sequence[Orphan]:
        """Tagged resources that no ledger holds and that are older than the longest permit.

        Raises:
            Fault: the cloud or the store does not answer.
        """
        young_s = seconds(self._clock.now()) - self._oldest_permit_s
        # The cloud first: what comes into being meanwhile is young, and what goes is not asked for again.
        resources = [r for r in self._cloud.tagged() if r.created_at_s < young_s]
        instances = self._instances({r.tag.instance_id for r in resources})
        found = [(r, _why_orphan(r, instances[r.tag.instance_id])) for r in resources]
        return [Orphan(resource, reason) for resource, reason in found if reason]

    def remove(self, orphan: Orphan) -> bool:
        """Begin to remove an orphan, at an operator's word; False if it is none any more.

        Raises:
            Fault: the cloud or the store does not answer.
        """
        resource = orphan.resource
        instance = self._instances({resource.tag.instance_id})[resource.tag.instance_id]
        if not _why_orphan(resource, instance) or self._cloud.get(resource.kind, resource.id) is None:
            return False
        self._cloud.delete(resource.kind, resource.id)
        return True

    def _instances(self, ids: set[UUID]) -> dict[UUID, Instance | None]:
        with self._ledger.reading() as reader:
            return {instance_id: reader.load(INSTANCE, instance_id) for instance_id in ids}


def _why_orphan(resource: CloudResource, instance: Instance | None) -> str:
    """Why nobody holds it; empty if somebody does, or may."""
    if instance is None:
        return f"instance {resource.tag.instance_id} is not in the log"
    if resource.tag.role not in list(Role):
        return f"no resource list knows the role {resource.tag.role}"
    entry = instance.resources.get(Role(resource.tag.role))
    if entry is not None and entry.may_exist and entry.resource_id in (None, resource.id):
        return ""
    if instance.lifecycle is Lifecycle.DELETED:
        return f"instance {instance.id} is deleted"
    return f"instance {instance.id} holds another {resource.tag.role}, or none"
