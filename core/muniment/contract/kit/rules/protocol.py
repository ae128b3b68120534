"""What every op keeps, whatever is repeated, late, or cut off by a crash."""

import time
from uuid import UUID, uuid4

import msgspec
import pytest

from muniment.contract import ops
from muniment.contract.errors import Code
from muniment.contract.kit.cases import Case
from muniment.contract.kit.instance import Instance
from muniment.contract.kit.plugin import NewInstance
from muniment.contract.messages import JobState

FETCHED_S = 20.0


@pytest.fixture
def instance(case: Case, up: Instance) -> Instance:
    """A server that answers, in the state before the op."""
    case.given(up)
    return up


@pytest.fixture
def doomed(case: Case, request: pytest.FixtureRequest) -> Instance:
    """The same for a rule that crashes it: ops that come before there is a server are tried where there is none."""
    if case.comes_first:
        new_instance: NewInstance = request.getfixturevalue("new_instance")
        made = new_instance()
    else:
        made = request.getfixturevalue("up")
    case.given(made)
    return made


def test_twice(case: Case, instance: Instance) -> None:
    """A command that comes twice acts once, also when its effect was undone meanwhile, and is answered alike."""
    command_id = instance.send(case.op, case.args(instance), case.secrets)
    first = instance.outcome(command_id)
    assert first.ok, first.error
    assert case.is_done(instance)
    if case.undo is not None:
        case.undo(instance)

    instance.send(case.op, case.args(instance), case.secrets, command_id=command_id)

    heard = instance.bench.outcomes(command_id, at_least=2, timeout_s=FETCHED_S)
    assert heard == [first, first]
    assert case.is_done(instance) is (case.undo is None)


def test_again(case: Case, instance: Instance) -> None:
    """The same wish as a new command is a success: an op says what should be, not what to do."""
    instance.do(case.op, case.args(instance), case.secrets)

    instance.do(case.op, case.args(instance), case.secrets)

    assert case.is_done(instance)


@pytest.mark.parametrize("moment_s", [0.0, 0.06])
def test_agent_killed(case: Case, doomed: Instance, moment_s: float) -> None:
    """An agent that is killed in the middle and started again still answers, and what was asked for is so."""
    command_id = _send_and_wait(case, doomed, moment_s)

    doomed.bench.kill_agent()
    doomed.bench.start_agent()

    doomed.settle(case.op, case.args(doomed), case.secrets, command_id)
    assert case.is_done(doomed)


@pytest.mark.parametrize("moment_s", [0.03, 0.4])
def test_power_cut(case: Case, doomed: Instance, moment_s: float) -> None:
    """The same when agent, jobs and engine die at once; an engine that was running the agent starts again by itself."""
    command_id = _send_and_wait(case, doomed, moment_s)

    doomed.bench.cut_power()
    doomed.bench.start_agent()

    doomed.settle(case.op, case.args(doomed), case.secrets, command_id)
    assert doomed.becomes(case.is_done)


def test_stale_epoch(case: Case, instance: Instance) -> None:
    """A command of an epoch that was raised is refused and has no effect."""
    before = case.is_done(instance)
    instance.epoch += 1
    instance.health()

    command_id = instance.send(case.op, case.args(instance), case.secrets, epoch=instance.epoch - 1)

    outcome = instance.outcome(command_id)
    assert outcome.error is not None
    assert outcome.error.code is Code.STALE_EPOCH
    assert case.is_done(instance) is before


def test_expired(case: Case, instance: Instance) -> None:
    """A command that comes after its time has no effect, and the guest promises that it never will."""
    before = case.is_done(instance)
    command_id = instance.send(case.op, case.args(instance), case.secrets, lifetime_s=-5)
    assert instance.bench.was_fetched(command_id, timeout_s=FETCHED_S)

    report = instance.do(ops.JOB_STATUS, ops.JobRef(command_id=command_id))
    instance.send(case.op, case.args(instance), case.secrets, command_id=command_id)
    later = instance.do(ops.JOB_STATUS, ops.JobRef(command_id=command_id))

    assert (report.state, later.state) == (JobState.NEVER, JobState.NEVER)
    assert all(
        outcome.error is not None and outcome.error.code is Code.EXPIRED
        for outcome in instance.bench.outcomes(command_id, at_least=0, timeout_s=0)
    )
    assert case.is_done(instance) is before


def test_bad_arguments(case: Case, instance: Instance) -> None:
    """Arguments that cannot be read are refused, where the op has any."""
    if msgspec.structs.fields(case.op.args) == ():
        return
    bad = ops.Op(
        case.op.name, case.op.kind, case.op.capability, _Nonsense, case.op.result, case.op.deadline_s
    )

    command_id = instance.send(bad, _Nonsense(), case.secrets, command_id=uuid4())

    outcome = instance.outcome(command_id)
    assert outcome.error is not None
    assert outcome.error.code is Code.INVALID_ARGUMENT


def _send_and_wait(case: Case, instance: Instance, moment_s: float) -> UUID:
    """Send the op; return so long after the agent took it."""
    command_id = instance.send(case.op, case.args(instance), case.secrets)
    assert instance.bench.was_fetched(command_id, timeout_s=FETCHED_S)
    time.sleep(moment_s)
    return command_id


class _Nonsense(msgspec.Struct):
    name: float = 0.5
    account: float = 0.5
    volume_id: float = 0.5
    datastore: float = 0.5
    base_config: float = 0.5
    grace_s: str = "soon"
    backup_id: float = 0.5
