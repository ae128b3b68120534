"""The one decision, called directly: from when on a miss is final, and what a failure means after a cancel."""

from collections.abc import Mapping
from random import Random
from uuid import UUID

import pytest
from tests.simulation.chance import Chance
from tests.simulation.cloud import SimulatedObjects
from tests.simulation.control_driver import SimulatedControl
from tests.support.strategies import FLAVOR, VERSION

from muniment.cloud.recipes import Kind, VolumeRecipe
from muniment.contract.errors import Code, GuestError
from muniment.contract.messages import Outcome, encode
from muniment.contract.ops import SERVER_RESTART, StopServer
from muniment.domain.arguments import NoArguments
from muniment.domain.event import Event
from muniment.domain.instance import INSTANCE, Instance, InstanceRequested
from muniment.domain.occupancy import Hold, Occupied
from muniment.domain.operation import (
    OPERATION,
    CancelRequested,
    Operation,
    Phase,
    Progress,
    Started,
    Subject,
    SubjectKind,
)
from muniment.domain.resources import Presence, ResourceExpected, Role
from muniment.operations.calls import Absent, Observation, Sight
from muniment.operations.cloud_steps import Ensure, Remove, tag_of
from muniment.operations.faulted import RUNNING_INSTANCE
from muniment.operations.guest_steps import Act
from muniment.operations.line import NO_LINE
from muniment.operations.plan import Plan
from muniment.operations.scene import Knowledge
from muniment.operations.steps import NONE, Definition, Step
from muniment.operations.timing import Timing
from muniment.operations.turn import turn
from muniment.operations.view import View
from muniment.store.state import SignalRow

OPERATION_ID, INSTANCE_ID = UUID(int=1), UUID(int=2)
CONTROL = SimulatedControl()
KNOWLEDGE = Knowledge(lambda datastore: CONTROL, SimulatedObjects(Chance(Random(1))), Timing())
SETTLED_S = KNOWLEDGE.timing.permit_s + KNOWLEDGE.timing.effect_s
"""When what was intended at 0 has settled."""
JUST_BEFORE_S = SETTLED_S - 1e-3
LATE_S = SETTLED_S + 100.0
"""A present in which only the moment at which a look began can matter."""


def definition(step: Step) -> Definition:
    """An operation of that one step."""
    return Definition(
        kind="one_step.1",
        wants="do one thing",
        occupies={SubjectKind.INSTANCE: Hold.EXCLUSIVE},
        steps=(step,),
        ends=RUNNING_INSTANCE,
    )


ENSURE = definition(
    Step(
        "volume",
        Ensure(Role.VOLUME, lambda scene, birth: VolumeRecipe(tag=tag_of(scene, Role.VOLUME), size_gib=2)),
        undo=Remove(Role.VOLUME),
        complaint="the volume could not be made",
        deadline_s=1000.0,
        tries=1,
    )
)
REMOVE = definition(Step("volume", Remove(Role.VOLUME), undo=NONE("it goes"), complaint="it stays"))
ASK = definition(
    Step(
        "restart",
        Act(SERVER_RESTART, lambda scene: StopServer()),
        undo=NONE("it runs"),
        complaint="the server could not be restarted",
        tries=3,
    )
)


def instance(*more: Event) -> Instance:
    """An instance on which the operation works."""
    requested = InstanceRequested(
        originator_id=INSTANCE_ID,
        originator_version=1,
        project_id="project-1",
        name="one",
        flavor=FLAVOR,
        volume_size_gib=2,
        datastore=VERSION,
        databases=(),
        users=(),
    )
    occupied = Occupied(
        originator_id=INSTANCE_ID,
        originator_version=2,
        operation_id=OPERATION_ID,
        kind="one_step",
        hold=Hold.EXCLUSIVE,
    )
    found = INSTANCE.fold(None, [requested, occupied, *more])
    assert found is not None
    return found


def begun(definition: Definition, subject: Instance) -> Plan:
    """The operation's first turn, at 0."""
    started = Started(
        originator_id=OPERATION_ID,
        originator_version=1,
        kind=definition.kind,
        subjects=(Subject(kind=SubjectKind.INSTANCE, id=INSTANCE_ID, hold=Hold.EXCLUSIVE),),
        arguments=NoArguments(),
        steps=tuple(part.name for part in definition.steps),
    )
    operation = OPERATION.fold(None, [started])
    assert operation is not None
    return turn(definition, view(operation, subject), {}, KNOWLEDGE, 0.0)


def view(operation: Operation, subject: Instance | None, *signals: SignalRow) -> View:
    """What the next turn sees."""
    return View(
        operation=operation,
        instance=subject,
        backup=None,
        signals=signals,
        unanswered=None,
        line=NO_LINE,
        pokes=0,
        wrapped_key=b"",
    )


def then(definition: Definition, before: Plan, observed: Mapping[str, Observation]) -> Plan:
    """The turn after it, late, with what the calls brought."""
    return turn(definition, view(before.operation, before.instance), observed, KNOWLEDGE, LATE_S)


def presence(plan: Plan) -> Presence:
    """What is believed of the volume."""
    assert plan.instance is not None
    return plan.instance.resources[Role.VOLUME].presence


def expected_volume() -> ResourceExpected:
    """A volume that somebody intended at 0, and nobody has seen."""
    return ResourceExpected(
        originator_id=INSTANCE_ID, originator_version=3, role=Role.VOLUME, settled_at_s=SETTLED_S
    )


def test_a_miss_before_the_intent_settled_does_not_end_its_making() -> None:
    """Whatever the time is now: what began to be looked for too early may have come since."""
    plan = then(ENSURE, begun(ENSURE, instance()), {"volume": Absent(JUST_BEFORE_S)})
    assert (plan.step("volume").progress, presence(plan)) == (Progress.PENDING, Presence.EXPECTED)
    assert plan.operation.phase is Phase.FORWARD


def test_a_miss_once_the_intent_has_settled_is_a_known_failure() -> None:
    """Nothing comes any more: the try is over and nothing is left to remove."""
    plan = then(ENSURE, begun(ENSURE, instance()), {"volume": Absent(SETTLED_S)})
    assert (plan.step("volume").progress, presence(plan)) == (Progress.FAILED, Presence.ABSENT)
    assert plan.is_ended


def test_a_miss_before_the_intent_settled_does_not_end_a_removal() -> None:
    """What may still come is looked for again."""
    before = begun(REMOVE, instance(expected_volume()))
    assert before.calls == {"volume": Sight(Kind.VOLUME, tag_of(before.scene, Role.VOLUME))}
    plan = then(REMOVE, before, {"volume": Absent(JUST_BEFORE_S)})
    assert (plan.step("volume").progress, presence(plan)) == (Progress.PENDING, Presence.EXPECTED)


def test_a_miss_once_the_intent_has_settled_ends_a_removal() -> None:
    """It never came to be, and never will."""
    plan = then(REMOVE, begun(REMOVE, instance(expected_volume())), {"volume": Absent(SETTLED_S)})
    assert (plan.step("volume").progress, presence(plan)) == (Progress.SUCCEEDED, Presence.ABSENT)
    assert plan.is_ended


@pytest.mark.parametrize(
    ("is_cancelled", "progress"),
    [(False, Progress.WAITING), (True, Progress.FAILED)],
    ids=["on", "cancelled"],
)
def test_nothing_is_tried_again_after_a_cancel(is_cancelled: bool, progress: Progress) -> None:
    """A failure that could be tried again is for good then, and the history names no time of a next try."""
    before = begun(ASK, instance())
    operation = before.operation
    if is_cancelled:
        asked = CancelRequested(originator_id=OPERATION_ID, originator_version=operation.version + 1)
        operation = OPERATION.fold(operation, [asked]) or operation
    made = before.step("restart").command_id
    assert made is not None
    busy = Outcome(command_id=made, ok=False, error=GuestError(code=Code.BUSY, message="later"))
    signal = SignalRow(
        id=UUID(int=3),
        operation_id=OPERATION_ID,
        command_id=made,
        kind="outcome",
        payload=encode(busy),
        at_s=1.0,
    )
    plan = turn(ASK, view(operation, before.instance, signal), {}, KNOWLEDGE, 1.0)
    state = plan.step("restart")
    assert (state.progress, state.retry_at_s is None) == (progress, is_cancelled)


def test_settled_is_the_permit_and_the_time_of_its_effect() -> None:
    """The moment that the tests above look at is the one that the engine records."""
    state = begun(ENSURE, instance()).step("volume")
    assert state.settled_at_s == pytest.approx(SETTLED_S)
