"""Rules of the protocol that broke simpler ideas, each in the one scenario that shows it."""

from collections.abc import Sequence
from random import Random

import pytest
from tests.operations.cases import instance_of, running_instance
from tests.simulation.chance import Chance
from tests.simulation.processes import SimulatedTaskManager
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.cloud.recipes import CloudResource, Kind, Tag
from muniment.contract.ops import BACKUP_CREATE, SERVER_BOOTSTRAP
from muniment.domain.accounts import WantedDatabase
from muniment.domain.arguments import DatabasesArguments
from muniment.domain.backup import BackupStatus
from muniment.domain.instance import DeletionBlocked, EpochRaised, Lifecycle
from muniment.domain.operation import (
    Asked,
    Completed,
    End,
    GaveUp,
    Intended,
    Progress,
    UnwindingStarted,
    Withdrawn,
)
from muniment.domain.refused import NotFound, Refused
from muniment.operations.answers import CANCEL
from muniment.operations.databases import CREATE_DATABASES
from muniment.operations.start import Beginning
from muniment.store.conflict import Conflict
from muniment.store.state import SignalRow
from muniment.store.writes import AddSignal, Poke

LONG_S = 100_000.0


@pytest.fixture
def world() -> World:
    """One in which nothing goes wrong by itself."""
    return World(Chance(Random(7)), task_managers=1, couriers=1)


@pytest.fixture
def requests(world: World) -> Requests:
    """A tenant."""
    return Requests(world)


def finish(world: World) -> None:
    """Let everything come to its end, and check that all is as it must be."""
    assert world.run_until(world.now_s() + LONG_S, is_done=lambda: world.next_task_s() is None)
    world.cloud.settle()
    world.watch.check_end()


def ask_for_database(world: World, requests: Requests) -> Beginning:
    """A database on a running instance, with the guest out of reach."""
    instance_id = running_instance(world)
    world.network.cut(instance_id)
    arguments = DatabasesArguments(databases=(WantedDatabase(name="late"),))
    return requests.on_instance(CREATE_DATABASES, world.instance(instance_id), arguments)


def outcome_of(world: World, beginning: Beginning) -> End:
    """How an operation ended."""
    return world.watch.ended[beginning.operation_id]


# -- cancel --------------------------------------------------------------------------------------------------------


def test_a_cancelled_create_leaves_nothing(world: World, requests: Requests) -> None:
    """Cancelled in the middle, a create is undone to the last resource."""
    beginning = requests.create()
    world.run_until(world.now_s() + 5)
    requests.cancel(beginning.operation_id)
    finish(world)
    assert outcome_of(world, beginning) is End.FAILED
    assert world.instance(instance_of(world)).lifecycle is Lifecycle.FAILED
    assert not world.cloud.things


def test_what_fails_after_the_cancel_is_not_its_cause(world: World, requests: Requests) -> None:
    """The owner reads that it was cancelled, and not that the database could not be started."""
    world.refusals.always.add(SERVER_BOOTSTRAP.name)
    beginning = requests.create()
    world.on_reach = lambda step, point: (
        requests.cancel(beginning.operation_id) if (step, point) == ("bootstrap", "before_effect") else None
    )
    finish(world)
    operation = world.watch.operation(beginning.operation_id)
    assert operation.steps["bootstrap"].progress is Progress.FAILED
    assert operation.message == "could not create the instance: it was cancelled"
    assert operation.reason.startswith("cancelled; bootstrap: ")


def test_silence_after_the_cancel_is_told_beside_it(world: World, requests: Requests) -> None:
    """A command that may yet have its effect is no clean end of a cancelled operation."""
    beginning = ask_for_database(world, requests)
    world.run_until(world.now_s() + 1)
    requests.cancel(beginning.operation_id)
    world.run_until(world.now_s() + 300)
    assert outcome_of(world, beginning) is End.FAILED_UNKNOWN
    assert (
        world.watch.operation(beginning.operation_id).message
        == "could not create the databases: it was cancelled (the server does not answer)"
    )


def test_cancel_waits_for_what_nothing_undoes(world: World, requests: Requests) -> None:
    """A command on its way is asked about, and the guest's promise that it will never run ends the wait."""
    beginning = ask_for_database(world, requests)
    world.run_until(world.now_s() + 2)
    requests.cancel(beginning.operation_id)
    world.run_until(world.now_s() + 5)
    assert beginning.operation_id not in world.watch.ended
    world.network.heal(instance_of(world))
    finish(world)
    server = world.server_of(instance_of(world))
    assert server is not None
    is_there = "late" in server.data.databases
    assert outcome_of(world, beginning) is (End.SUCCEEDED if is_there else End.FAILED)


def test_cancel_after_the_last_effect_changes_nothing(world: World, requests: Requests) -> None:
    """What has succeeded has succeeded."""
    instance_id = running_instance(world)
    beginning = requests.restart(world.instance(instance_id))
    world.on_reach = lambda step, point: (
        requests.cancel(beginning.operation_id)
        if (step, point) == ("restart_server", "after_effect")
        else None
    )
    finish(world)
    assert outcome_of(world, beginning) is End.SUCCEEDED


def test_a_deletion_is_not_cancelled(world: World, requests: Requests) -> None:
    """There is nothing to go back to: it is refused, and a signal that comes all the same changes nothing."""
    deletion = requests.delete(running_instance(world)).operation_id
    assert deletion is not None
    with pytest.raises(Refused, match="cannot be cancelled"):
        requests.cancel(deletion)
    signal = SignalRow(
        id=world.new_id(),
        operation_id=deletion,
        command_id=None,
        kind=CANCEL,
        payload=b"",
        at_s=world.now_s(),
    )
    world.ledger.save([], requests.about(), writes=[AddSignal(signal)])
    finish(world)
    assert world.watch.ended[deletion] is End.SUCCEEDED


# -- silence -------------------------------------------------------------------------------------------------------


def test_silence_is_asked_about_and_given_up_under_a_raised_epoch(world: World, requests: Requests) -> None:
    """Three questions, then unknown for good: the command is stale before the operation ends."""
    beginning = ask_for_database(world, requests)
    epoch = world.instance(instance_of(world)).epoch
    world.run_until(world.now_s() + 300)
    history = world.ledger.history(beginning.operation_id)
    assert sum(isinstance(event, Asked) for event in history) == 3
    assert any(isinstance(event, GaveUp) for event in history)
    assert outcome_of(world, beginning) is End.FAILED_UNKNOWN
    assert world.instance(instance_of(world)).epoch == epoch + 1
    fault = world.instance(instance_of(world)).fault
    assert fault is not None
    assert (
        fault.message
        == "could not create the databases: a database could not be created (the server does not answer)"
    )


def test_the_epoch_is_raised_in_the_save_that_gives_up(world: World, requests: Requests) -> None:
    """There is no moment at which the instance is free and the old command still counts."""
    beginning = ask_for_database(world, requests)
    world.run_until(world.now_s() + 300)
    logged = world.ledger.log.read(0, 1000)
    (gave_up,) = [n for n, entry in enumerate(logged) if isinstance(entry.event, GaveUp)]
    raised = [n for n, entry in enumerate(logged) if isinstance(entry.event, EpochRaised)]
    assert raised == [gave_up + 1]
    assert isinstance(logged[gave_up + 2].event, UnwindingStarted)
    assert logged[gave_up].event.at == logged[gave_up + 2].event.at
    assert outcome_of(world, beginning) is End.FAILED_UNKNOWN


def test_nothing_is_given_up_before_the_command_has_expired(world: World, requests: Requests) -> None:
    """However quickly a cancelled operation has asked three times, a late command must not run after its end."""
    beginning = ask_for_database(world, requests)
    world.run_until(world.now_s() + 1)
    requests.cancel(beginning.operation_id)
    (intent,) = [e for e in world.ledger.history(beginning.operation_id) if isinstance(e, Intended)]
    assert intent.deadline_s is not None
    world.run_until(intent.deadline_s + world.knowledge.timing.skew_s - 1)
    assert beginning.operation_id not in world.watch.ended
    world.run_until(intent.deadline_s + world.knowledge.timing.skew_s + 1)
    assert outcome_of(world, beginning) is End.FAILED_UNKNOWN
    world.network.heal(instance_of(world))
    world.run_until(world.now_s() + 100)
    server = world.server_of(instance_of(world))
    assert server is not None
    assert "late" not in server.data.databases


# -- take-over -----------------------------------------------------------------------------------------------------


def test_delete_takes_over_a_create(world: World, requests: Requests) -> None:
    """In one transaction: the create has ended, the instance is being deleted, and what may exist stays counted."""
    creation = requests.create(size_gib=3)
    world.run_until(world.now_s() + 8)
    head = world.ledger.log.head()
    requests.delete(instance_of(world))
    kinds = [type(entry.event).__name__ for entry in world.ledger.log.read(head, 100)]
    assert kinds == ["Released", "Completed", "EpochRaised", "DeletionRequested", "Started", "Occupied"]
    assert outcome_of(world, creation) is End.TAKEN_OVER
    assert world.watch.counted("project-1")["volumes"] == 3
    finish(world)
    assert world.watch.counted("project-1") == {}
    assert not world.cloud.things


def test_delete_again_meets_the_same_deletion(world: World, requests: Requests) -> None:
    """A second request starts nothing; one after the end finds nothing."""
    instance_id = running_instance(world)
    first, second = requests.delete(instance_id), requests.delete(instance_id)
    assert (second.operation_id, second.position) == (first.operation_id, 0)
    finish(world)
    with pytest.raises(NotFound):
        requests.delete(instance_id)


def test_delete_takes_over_all_occupants_with_all_their_subjects(world: World, requests: Requests) -> None:
    """A backup that is being written fails with its instance, stays counted, and can be deleted."""
    instance_id = running_instance(world)
    backing_up = requests.back_up(world.instance(instance_id))
    world.run_until(world.now_s() + 1)
    (backup_id,) = world.watch.backups
    requests.delete(instance_id)
    backup = world.backup(backup_id)
    assert (outcome_of(world, backing_up), backup.status, backup.occupants) == (
        End.TAKEN_OVER,
        BackupStatus.FAILED,
        (),
    )
    finish(world)
    assert world.watch.counted("project-1") == {"backups": 1}
    requests.delete_backup(world.backup(backup_id))
    finish(world)
    assert world.watch.counted("project-1") == {}
    assert not world.objects.objects


def test_reset_leaves_an_active_instance_active(world: World, requests: Requests) -> None:
    """What ran is ended, what it had sent is stale, and the next request finds an instance at rest."""
    beginning = ask_for_database(world, requests)
    world.run_until(world.now_s() + 1)
    requests.reset(instance_of(world))
    instance = world.instance(instance_of(world))
    assert (outcome_of(world, beginning), instance.lifecycle, instance.occupants, instance.epoch) == (
        End.RESET,
        Lifecycle.ACTIVE,
        (),
        2,
    )
    world.network.heal(instance_of(world))
    world.quietly(lambda: requests.restart(world.instance(instance_of(world))))
    finish(world)


def test_reset_puts_a_building_instance_in_error_and_counts_on(world: World, requests: Requests) -> None:
    """What it made stays counted until its owner deletes it."""
    requests.create(size_gib=3)
    world.run_until(world.now_s() + 8)
    requests.reset(instance_of(world))
    assert world.instance(instance_of(world)).lifecycle is Lifecycle.FAILED
    assert world.watch.counted("project-1")["volumes"] == 3
    requests.delete(instance_of(world))
    finish(world)
    assert not world.cloud.things


def test_reset_does_not_stop_a_deletion(world: World, requests: Requests) -> None:
    """Nothing takes a deletion over."""
    instance_id = running_instance(world)
    requests.delete(instance_id)
    with pytest.raises(Refused, match="being deleted"):
        requests.reset(instance_id)
    finish(world)


def test_a_purge_counts_only_once_no_guest_may_write(world: World, requests: Requests) -> None:
    """A backup that a reset ended is deleted no earlier than its grant ends, since its guest may write until then."""
    instance_id = running_instance(world)
    requests.back_up(world.instance(instance_id))
    world.run_until(world.now_s() + 1)
    (backup_id,) = world.watch.backups
    requests.reset(instance_id)
    granted_until_s = world.backup(backup_id).granted_until_s
    deletion = requests.delete_backup(world.backup(backup_id)).operation_id
    world.run_until(granted_until_s - 1)
    assert deletion not in world.watch.ended
    finish(world)
    assert world.watch.ended[deletion] is End.SUCCEEDED
    assert not world.objects.objects


def test_a_backup_cancelled_between_two_tries_ends_at_once(world: World, requests: Requests) -> None:
    """The guest has said how the try ended: nobody writes any more, and nothing waits for the end of the grant."""
    instance_id = running_instance(world)
    world.refusals.once.add(BACKUP_CREATE.name)
    beginning = requests.back_up(world.instance(instance_id))
    assert world.run_until(
        world.now_s() + LONG_S,
        is_done=lambda: world.watch.operation(beginning.operation_id).steps["upload"].retry_at_s is not None,
    )
    cancelled_s = world.now_s()
    requests.cancel(beginning.operation_id)
    world.run_until(cancelled_s + 60)
    assert outcome_of(world, beginning) is End.FAILED
    assert not world.objects.objects
    finish(world)


# -- the cloud -----------------------------------------------------------------------------------------------------


def test_waiting_steps_do_not_wake_each_other(world: World, requests: Requests) -> None:
    """Two resources that are being made are each looked at once a poll, not in a circle without a pause."""
    world.chance.random.uniform = lambda low, high: high  # type: ignore[method-assign]  # everything takes its longest
    looks: list[float] = []
    find = world.cloud.find
    world.cloud.find = lambda kind, tag: (looks.append(world.now_s()), find(kind, tag))[1]  # type: ignore[method-assign]
    requests.create()
    world.run_until(world.now_s() + 3)
    assert 2 <= len(looks) <= 6


def test_a_call_that_was_never_made_uses_up_no_try(world: World, requests: Requests) -> None:
    """A worker that stalls past its permit says so; the step is tried again with all its tries."""
    beginning = requests.create()
    stalls = iter([25.0])

    def stall(self: SimulatedTaskManager) -> None:
        world.clock.advance(next(stalls, 0.0))

    manager = world.actors[0]
    assert isinstance(manager, SimulatedTaskManager)
    manager._stall = stall.__get__(manager)  # type: ignore[method-assign]
    manager._manager = manager._start()
    finish(world)
    history = world.ledger.history(beginning.operation_id)
    assert any(isinstance(event, Withdrawn) for event in history)
    assert all(step.failures == 0 for step in world.watch.operation(beginning.operation_id).steps.values())
    assert outcome_of(world, beginning) is End.SUCCEEDED


def test_nothing_is_made_after_a_find_that_outlasts_the_permit(world: World, requests: Requests) -> None:
    """The permit is looked at again directly before the call that makes something; that was not made, and is tried again."""
    beginning = requests.create()
    find, slow_s = world.cloud.find, iter([world.knowledge.timing.permit_s + 1])

    def find_slowly(kind: Kind, tag: Tag) -> Sequence[CloudResource]:
        found = find(kind, tag)
        if took_s := next(slow_s, 0.0):
            world.clock.advance(took_s)
        return found

    world.cloud.find = find_slowly  # type: ignore[method-assign]
    finish(world)
    history = world.ledger.history(beginning.operation_id)
    first = next(e for e in history if isinstance(e, Intended))
    assert any(isinstance(e, Withdrawn) and e.step == first.step for e in history)
    assert outcome_of(world, beginning) is End.SUCCEEDED


def test_a_blocked_deletion_says_so_once(world: World, requests: Requests) -> None:
    """After two minutes, in both streams, and it goes on."""
    instance_id = running_instance(world)
    deletion = requests.delete(instance_id).operation_id
    assert deletion is not None
    (volume,) = [t for t in world.cloud.things.values() if t.recipe.kind == "volume"]
    world.cloud.keeps_always.add(volume.recipe.kind)
    world.run_until(world.now_s() + 600)
    told = [e for e in world.ledger.history(instance_id) if isinstance(e, DeletionBlocked)]
    assert [event.role for event in told] == ["volume"]
    world.cloud.keeps_always.clear()
    finish(world)
    assert world.watch.ended[deletion] is End.SUCCEEDED


# -- the store -----------------------------------------------------------------------------------------------------


def test_a_repeated_request_starts_nothing_new(world: World, requests: Requests) -> None:
    """The same request meets the same operation, and its save is a conflict."""
    instance = world.instance(running_instance(world))
    about = requests.about()
    first = world.starter.on_instance(
        CREATE_DATABASES,
        instance,
        request_id=about.request_id,
        now_s=world.now_s(),
        arguments=DatabasesArguments(databases=(WantedDatabase(name="a"),)),
    )
    world.ledger.save(first.events, about, writes=first.writes)
    with pytest.raises(Conflict):
        world.ledger.save(first.events, about, writes=first.writes)


def test_a_poke_is_not_slept_through(world: World, requests: Requests) -> None:
    """What reaches an operation between its look and its requeue has it claimed again at once."""
    beginning = requests.create()
    claims: list[int] = []

    def claim_no() -> int:
        with world.ledger.reading() as reader:
            row = reader.queue_row(beginning.operation_id)
        assert row is not None
        return row.claim_no

    def poke_once(step: str, point: str) -> None:
        if (step, point) == ("await_guest", "before_event") and not claims:
            claims.append(claim_no())
            world.ledger.save([], requests.about(), writes=[Poke(beginning.operation_id)])

    world.on_reach = poke_once
    world.run_until(world.now_s() + 1000, is_done=lambda: bool(claims))
    assert claim_no() == claims[0] + 1


def test_secrets_go_with_their_operation(world: World, requests: Requests) -> None:
    """Whatever the end, no sealed value is left."""
    requests.create(users=2)
    assert len(world.rows("SELECT ref FROM secrets")) == 2
    finish(world)
    assert not world.rows("SELECT ref FROM secrets")


def test_the_end_is_one_save(world: World, requests: Requests) -> None:
    """The subject is released, the fact is told and the operation completed at once."""
    beginning = requests.create()
    finish(world)
    kinds = [type(entry.event).__name__ for entry in world.ledger.log.read(0, 1000)]
    assert kinds[-3:] == ["Released", "InstanceBecameActive", "Completed"]
    completed = world.ledger.history(beginning.operation_id)[-1]
    assert isinstance(completed, Completed)
