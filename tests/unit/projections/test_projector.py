"""The projector: batches, restarts, rivals, and what cannot be shown."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import Connection
from tests.support.logs import drawer_history, new_ledger, requested, save
from tests.support.shown import projected, shown
from tests.support.strategies import NAMESPACE, PROJECT

from muniment.domain.history import IllegalHistory
from muniment.domain.instance import Instance, InstanceRenamed
from muniment.fault import Fault
from muniment.store.log import Logged
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.instances import InstanceProjection, Instances
from muniment_projections.projector import Overtaken, ProjectionFailed, Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.rebuild import rebuild
from muniment_projections.row import Row, View
from muniment_projections.timeline import Timeline
from muniment_projections.waiting import Arrivals


class Stumbling(InstanceProjection):
    """Cannot show an instance of a certain name, until it is told to go on."""

    stumbles = True

    def rows(self, state: Instance) -> Sequence[Row]:
        """The instance, or an exception."""
        if self.stumbles and state.name == "stone":
            raise ValueError("cannot show a stone")
        return super().rows(state)


def test_the_position_moves_over_events_that_no_projection_follows() -> None:
    """Somebody who waits for a position gets there whatever kind of event stands at it."""
    ledger = save(new_ledger(), [drawer_history(NAMESPACE)])
    read_model = ReadModel.in_memory(CATALOGUE)
    projector = Projector(ledger.log, read_model)

    handled = projector.run_once()

    assert (handled, projector.position, read_model.position()) == (2, 2, 2)
    assert len(Timeline(read_model).page(project_id=PROJECT).documents) == 2


def test_an_event_that_cannot_be_shown_stops_the_projector_loudly() -> None:
    """It names the event; of its batch nothing is written, however often it is tried."""
    ledger = save(new_ledger(), [[requested(uuid4()), requested(uuid4(), name="stone"), requested(uuid4())]])
    read_model = ReadModel.in_memory([Stumbling()])
    projector = Projector(ledger.log, read_model)

    for _ in range(2):
        with pytest.raises(ProjectionFailed, match=r"instance\.requested\.1 at log position 2") as failed:
            projector.run_once()

    assert isinstance(failed.value.__cause__, ValueError)
    assert (failed.value.position, read_model.position(), projector.position) == (2, 0, 0)
    assert Timeline(read_model).page(project_id=None).documents == []


def test_once_the_event_can_be_shown_nothing_is_missing_or_twice() -> None:
    """After a failure in the middle of a batch the same projector goes on from what is stored."""
    stream = uuid4()
    renamed = [
        InstanceRenamed(originator_id=stream, originator_version=v, name=name)
        for v, name in ((2, "pebble"), (3, "stone"), (4, "rock"))
    ]
    ledger = save(new_ledger(), [[requested(stream)], renamed])
    stumbling = Stumbling()
    read_model = ReadModel.in_memory([stumbling])
    projector = Projector(ledger.log, read_model)
    projector.run_once(limit=1)
    with pytest.raises(ProjectionFailed):
        projector.run_once()

    stumbling.stumbles = False
    projector.run_once()

    instances = Instances(read_model)
    names = [
        shown(instances.get(stream, project_id=None, view=View.SUMMARY, as_of=position))["name"]
        for position in range(1, 5)
    ]
    assert names == ["orders", "pebble", "stone", "rock"]


def test_a_commit_that_fails_is_not_remembered() -> None:
    """What was folded for a transaction that did not happen is forgotten, and folded again from what is stored."""

    class Unlucky(ReadModel):
        """Loses the transaction at its very end, when told to."""

        fails = False

        @contextmanager
        def writing(self) -> Iterator[Connection]:
            """A transaction that may come to nothing."""
            with super().writing() as connection:
                yield connection
                if self.fails:
                    raise Fault("read model", "the disk is full")

    stream = uuid4()
    renamed = InstanceRenamed(originator_id=stream, originator_version=2, name="sales")
    ledger = save(new_ledger(), [[requested(stream)], [renamed]])
    read_model = Unlucky.in_memory(CATALOGUE)
    projector = Projector(ledger.log, read_model)
    projector.run_once(limit=1)
    read_model.fails = True
    with pytest.raises(Fault):
        projector.run_once()

    read_model.fails = False
    projector.run_once()

    seen = shown(Instances(read_model).get(stream, project_id=PROJECT, view=View.SUMMARY))
    assert (seen["name"], read_model.position()) == ("sales", 2)


def test_a_projector_that_slept_through_a_switch_takes_up_what_is_stored() -> None:
    """Another process rebuilt and went on; what this one remembers of the streams is old by then."""
    stream = uuid4()

    def rename(version: int) -> InstanceRenamed:
        return InstanceRenamed(originator_id=stream, originator_version=version, name=f"name {version}")

    ledger = save(new_ledger(), [[requested(stream)], [rename(2)]])
    read_model = ReadModel.in_memory(CATALOGUE)
    sleeper = Projector(ledger.log, read_model)
    sleeper.catch_up()
    rebuild(ledger.log, read_model)
    Projector(save(ledger, [[rename(3)]]).log, read_model).catch_up()

    save(ledger, [[rename(4)]])
    handled = [sleeper.run_once() for _ in range(2)]

    seen = shown(Instances(read_model).get(stream, project_id=PROJECT, view=View.SUMMARY))
    assert (handled, seen["name"]) == ([0, 1], "name 4")


def test_a_second_projector_is_stopped() -> None:
    """Two at once: whoever comes second finds the position moved, writes nothing and stops."""
    ledger = save(new_ledger(), [[requested(uuid4())], [requested(uuid4())]])
    read_model = ReadModel.in_memory(CATALOGUE)
    first, second = Projector(ledger.log, read_model), Projector(ledger.log, read_model)
    first.run_once(limit=1)

    with pytest.raises(Overtaken):
        second.run_once(limit=2)

    assert read_model.position() == 1
    assert len(Timeline(read_model).page(project_id=None).documents) == 1


def test_the_log_of_another_ledger_is_refused() -> None:
    """A restored or exchanged ledger would be shown as a mixture of two histories."""
    _, read_model = projected([requested(uuid4())])
    other = save(new_ledger(), [[requested(uuid4())], [requested(uuid4())]])

    with pytest.raises(Fault, match="another log"):
        Projector(other.log, read_model)


def test_a_log_that_became_shorter_is_refused() -> None:
    """A ledger restored from an older backup lacks what was already shown."""
    ledger, read_model = projected([requested(uuid4())], [requested(uuid4())])

    class Cut:
        """The same log without its last event."""

        def head(self) -> int:
            return 1

        def read(self, after: int, limit: int) -> list[Logged]:
            return [logged for logged in ledger.log.read(after, limit) if logged.position <= 1]

    with pytest.raises(Fault, match="another log"):
        Projector(Cut(), read_model)


def test_events_after_the_end_of_a_stream_are_refused() -> None:
    """A history that no decider produces stops the projector instead of showing a ghost."""
    stream = uuid4()
    ledger = save(new_ledger(), [[requested(stream)]])
    read_model = ReadModel.in_memory(CATALOGUE)
    first = ledger.log.read(0, 1)[0]
    doubled = Logged(2, first.event, first.digest)

    class Doubled:
        """The first event twice."""

        def head(self) -> int:
            return 2

        def read(self, after: int, limit: int) -> list[Logged]:
            return [logged for logged in (first, doubled) if logged.position > after][:limit]

    with pytest.raises(ProjectionFailed) as failed:
        Projector(Doubled(), read_model).run_once()

    assert isinstance(failed.value.__cause__, IllegalHistory)


def test_arrivals_hear_of_every_commit() -> None:
    """Who waits in the same process need not ask the database."""
    ledger = save(new_ledger(), [[requested(uuid4())], [requested(uuid4())]])
    read_model = ReadModel.in_memory(CATALOGUE)
    arrivals = Arrivals(read_model)

    Projector(ledger.log, read_model, arrivals=arrivals).run_once(limit=1)

    assert arrivals.wait_for(1, 0.0)
    assert not arrivals.wait_for(2, 0.0)
