"""Steps that remove the objects of a backup from where backups lie."""

from dataclasses import dataclass

from muniment.domain.operation import Intended, Progress, Undone
from muniment.domain.resources import Presence, Role
from muniment.operations.calls import NoAnswer, Observation, Purge, Purged, Refusal
from muniment.operations.plan import Plan
from muniment.operations.scene import Scene
from muniment.operations.steps import Step
from muniment.store.state import SignalRow

__all__ = ["RemoveObjects"]


@dataclass(frozen=True)
class RemoveObjects:
    """No object of the backup is left, and none comes any more. A step of its deletion, and the undo of its upload.

    A guest may write under its grant, so a purge counts only if it began when no guest could: when the guest has said how
    the upload ended, when its server is confirmed gone, or when the grant has ended.
    """

    @property
    def is_command(self) -> bool:
        """It asks no guest."""
        return False

    def begin(self, plan: Plan, step: Step) -> None:
        """Record the intent, which needs no end: whoever purges late purges what has to go."""
        plan.say(
            Intended(
                originator_id=plan.operation.id,
                originator_version=0,
                step=step.name,
                failures=plan.step(step.name).failures,
            )
        )
        self.poll(plan, step)

    def poll(self, plan: Plan, step: Step) -> None:
        """Purge, or wait for the moment from which a purge counts."""
        if plan.is_unwinding and plan.step(step.name).progress is Progress.GIVEN_UP:
            self._leave(plan, step)
        elif (quiet_at_s := self._quiet_at_s(plan, step)) > plan.now_s:
            # The end of the server may come long before the end of the grant.
            plan.wait(step.name, min(quiet_at_s, plan.now_s + plan.timing.blocked_after_s))
        else:
            backup = plan.scene.backup
            reference = plan.scene.knowledge.objects.reference(
                backup.project_id, backup.id, until_s=plan.now_s
            )
            plan.call(step.name, Purge(reference))

    def conclude(self, plan: Plan, step: Step, observation: Observation) -> None:
        """Empty counts if the purge began late enough; the plan that asked for it has seen to that."""
        match observation:
            case Purged(is_empty=True):
                plan.finish(step.name)
            case Purged():
                self._wait(plan, step, "objects are left after a purge")
            case NoAnswer(reason) | Refusal(reason):
                self._wait(plan, step, reason)
            case _:
                raise AssertionError(f"{observation} does not conclude {step.name}")

    def hear(self, plan: Plan, step: Step, signal: SignalRow) -> None:
        """No command, no answer."""

    def cancel(self, plan: Plan, step: Step) -> None:
        """Removing goes on."""

    def _wait(self, plan: Plan, step: Step, reason: str) -> None:
        plan.say_blocked(step.name, reason)
        plan.wait(step.name, plan.now_s + plan.timing.cloud_poll_s)

    def _quiet_at_s(self, plan: Plan, step: Step) -> float:
        """From when on nobody writes."""
        backup = plan.scene.backup
        if not backup.is_unsettled or _is_known(plan, step) or _server_is_gone(plan.scene):
            return plan.now_s
        return backup.granted_until_s

    def _leave(self, plan: Plan, step: Step) -> None:
        """Nobody knows whether the guest still writes: waiting for the grant's end would hold the instance for hours.
        The backup stays, failed and counted, until its owner deletes it; that removes the objects."""
        plan.say(
            Undone(
                originator_id=plan.operation.id,
                originator_version=0,
                step=step.name,
                left="objects may be left, or still come; the deletion of the backup removes them",
            )
        )


def _is_known(plan: Plan, step: Step) -> bool:
    """Whether the guest has said how its last try ended; a step between two tries is known too."""
    open_ended = (Progress.PENDING, Progress.GIVEN_UP)
    return plan.is_unwinding and plan.step(step.name).progress not in open_ended


def _server_is_gone(scene: Scene) -> bool:
    """Whether the server that could write is confirmed gone."""
    server = scene.instance.resources.get(Role.SERVER)
    return server is not None and server.presence is Presence.GONE
