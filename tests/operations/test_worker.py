"""The worker between its saves: claims that are lost, acknowledgements that are lost, workers that wake up late."""

from random import Random

import pytest
import structlog
from tests.operations.cases import running_instance
from tests.simulation.chance import Chance
from tests.simulation.processes import SimulatedTaskManager, WatchedWorker
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.cloud.cloud import NO_SPACE, CloudRefused
from muniment.cloud.recipes import CloudResource, Recipe
from muniment.domain.instance import ACTIONABLE_HEALTH, INSTANCE, InstanceRequested
from muniment.domain.operation import End, Intended
from muniment.operations.worker import Worker
from muniment.store.conflict import ClaimLost
from muniment.store.ledger import Claim
from muniment.store.writes import RenewClaim

LONG_S = 100_000.0


def calm_world(rates: dict[str, float] | None = None, task_managers: int = 1) -> World:
    """One in which only these faults happen."""
    return World(Chance(Random(11), rates), task_managers=task_managers, couriers=1)


def finish(world: World) -> None:
    """Let everything come to its end, and check that all is as it must be."""
    assert world.run_until(world.now_s() + LONG_S, is_done=lambda: world.next_task_s() is None)
    world.cloud.settle()
    world.watch.check_end()


@pytest.mark.parametrize("fault", ["lost_before_commit", "lost_after_commit", "foreign_event"])
def test_a_save_that_fails_or_only_seems_to_changes_nothing(fault: str) -> None:
    """With every second save in doubt, a create ends as ever, and no step is begun twice."""
    world = calm_world({fault: 0.5})
    creation = Requests(world).create()
    finish(world)
    assert world.watch.ended[creation.operation_id] is End.SUCCEEDED
    intents = [e.step for e in world.ledger.history(creation.operation_id) if isinstance(e, Intended)]
    assert len(intents) == len(set(intents))
    assert world.chance.counts[fault] > 5


def test_a_worker_that_wakes_up_late_does_nothing() -> None:
    """A stall far beyond lease and permit: another worker has gone on, and the first one's findings are dropped."""
    world = calm_world(task_managers=2)
    stalls = iter([200.0])
    creation = Requests(world).create()
    for manager in world.actors[:2]:
        assert isinstance(manager, SimulatedTaskManager)
        manager._stall = lambda: world.pass_time(next(stalls, 0.0))  # type: ignore[method-assign]
        manager._manager = manager._start()
    finish(world)
    assert world.watch.ended[creation.operation_id] is End.SUCCEEDED
    assert len(world.cloud.things) == 3


def test_an_older_claim_saves_nothing() -> None:
    """The number of the claim is the fence: it is looked at by every save."""
    world = calm_world()
    requests = Requests(world)
    creation = requests.create()
    first = world.ledger.claim("one", lease_s=5)
    assert isinstance(first, Claim)
    world.clock.advance(6)
    second = world.ledger.claim("two", lease_s=5)
    assert isinstance(second, Claim)
    assert second.claim_no == first.claim_no + 1
    manager = world.actors[0]
    assert isinstance(manager, SimulatedTaskManager)
    before = world.ledger.log.head()
    with pytest.raises(ClaimLost):
        manager._manager._worker.drive(first)
    renewal = RenewClaim(creation.operation_id, first.claim_no, world.now_s() + 5)
    with pytest.raises(ClaimLost):
        world.ledger.save([], requests.about(), writes=[renewal])
    assert world.ledger.log.head() == before


def test_a_worker_that_loads_late_drops_an_ended_operation() -> None:
    """A claim that was taken just before the end finds nothing to do."""
    world = calm_world()
    requests = Requests(world)
    instance_id = running_instance(world)
    assert world.instance(instance_id).health in ACTIONABLE_HEALTH
    requests.restart(world.instance(instance_id))
    claim = world.ledger.claim("late", lease_s=60)
    assert isinstance(claim, Claim)
    requests.delete(instance_id)
    manager = world.actors[0]
    assert isinstance(manager, SimulatedTaskManager)
    with pytest.raises(ClaimLost):
        manager._manager._worker.drive(claim)
    finish(world)


def test_an_operation_with_an_altered_history_does_not_look_like_a_bug(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The taskmanager says in one line, without a traceback, where the history is broken and what to run."""
    world = calm_world()
    creation = Requests(world).create()
    # The watching one takes every exception for a bug, as it must while nobody alters histories.
    monkeypatch.setattr(WatchedWorker, "drive", Worker.drive)
    with world.ledger._recorder.writing() as cursor:
        cursor.execute(
            "UPDATE events SET state = CAST('{}' AS BLOB) WHERE originator_id = :id",
            {"id": str(creation.operation_id)},
        )
    manager = world.actors[0]
    assert isinstance(manager, SimulatedTaskManager)
    with structlog.testing.capture_logs() as records:
        manager._manager.run_once()
    told = [record for record in records if record["log_level"] == "error"]
    assert [record["event"].startswith("the history is broken at position ") for record in told] == [True]
    assert "exc_info" not in told[0]


def test_an_owner_reads_that_there_was_no_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cloud says for owners ends up in the instance's fault; what it says for operators does not."""
    world = calm_world()

    def full(recipe: Recipe) -> CloudResource:
        raise CloudRefused("3 MiB are free below /machine", for_owner=NO_SPACE)

    monkeypatch.setattr(world.cloud, "create", full)
    requested = Requests(world).create().events[0]
    assert isinstance(requested, InstanceRequested)
    finish(world)
    instance = world.ledger.load(INSTANCE, requested.originator_id)
    assert instance is not None
    fault = instance.fault
    assert fault is not None
    assert fault.message == (
        "could not create the instance: the volume could not be made (No space left on device); "
        "what was made for it is removed, delete the instance and create another"
    )
    assert "3 MiB are free" in fault.details


def test_an_idle_taskmanager_says_when_to_come_back() -> None:
    """Nothing queued: within a minute. Something due later: then."""
    world = calm_world()
    manager = world.actors[0]
    assert isinstance(manager, SimulatedTaskManager)
    assert manager._manager.run_once() == world.now_s() + 60
    running_instance(world)
    world.network.cut(next(iter(world.watch.instances)))
    Requests(world).restart(world.instance(next(iter(world.watch.instances))))
    due_s = manager._manager.run_once()
    assert world.now_s() < due_s <= world.now_s() + 60
