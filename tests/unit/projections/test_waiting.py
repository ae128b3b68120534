"""Read-your-writes."""

from threading import Thread
from uuid import uuid4

from tests.support.logs import new_ledger, requested, save
from tests.support.shown import projected

from muniment_projections.catalogue import CATALOGUE
from muniment_projections.projector import Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.waiting import Arrivals

LONG_S = 10.0


def test_what_is_shown_already_needs_no_wait() -> None:
    """Also when nobody told: the position is looked up first."""
    _, read_model = projected([requested(uuid4())])

    assert Arrivals(read_model).wait_for(1, 0.0)


def test_waiting_ends_after_its_time() -> None:
    """A projector that does not come does not hold a request for ever."""
    _, read_model = projected()

    assert not Arrivals(read_model, poll_s=0.001).wait_for(1, 0.003)


def test_a_projector_of_this_process_wakes_at_once() -> None:
    """Long before the next look into the database."""
    _, read_model = projected()
    arrivals = Arrivals(read_model, poll_s=LONG_S)
    arrived: list[bool] = []
    waiter = Thread(target=lambda: arrived.append(arrivals.wait_for(7, LONG_S)))
    waiter.start()

    arrivals.advanced(7)
    waiter.join(LONG_S / 2)

    assert arrived == [True]


def test_a_projector_of_another_process_is_found_by_looking() -> None:
    """One that tells this process nothing is seen in the database."""
    ledger = save(new_ledger(), [[requested(uuid4())]])
    read_model = ReadModel.in_memory(CATALOGUE)
    arrivals = Arrivals(read_model, poll_s=0.001)
    assert not arrivals.wait_for(1, 0.0)

    Projector(ledger.log, read_model).run_once()

    assert arrivals.wait_for(1, LONG_S)
