"""Reads by id while the read models lag behind."""

import threading
import time

from tests.support.rest_world import RestWorld

from muniment.domain.datastore import version_id


def test_miss_waits_for_what_the_log_holds(world: RestWorld) -> None:
    """What was saved before the request is found, though the read models learn of it only afterwards."""
    with world.projecting:
        world.register("postgresql", "18", number="18.6", waits=False)
        release = threading.Timer(0.2, world.projecting.release)
        release.start()
        found = world.call("GET", f"/datastores/versions/{version_id('postgresql', '18')}")
        release.join()
        world.projecting.acquire()
    assert found.status_code == 200


def test_miss_is_believed_at_once_when_nothing_is_outstanding(world: RestWorld) -> None:
    """What does not exist is 404 without a wait once the read models have passed the log's head."""
    world.register("postgresql", "18", number="18.6")
    began_s = time.perf_counter()
    missed = world.call("GET", f"/datastores/versions/{version_id('postgresql', '99')}")
    assert missed.status_code == 404
    assert time.perf_counter() - began_s < 0.9  # the wait would be a whole second


def test_read_models_that_stand_still_do_not_hold_an_answer_for_ever(world: RestWorld) -> None:
    """When the projector is gone a miss is answered after a second all the same."""
    with world.projecting:
        world.register("postgresql", "18", number="18.6", waits=False)
        missed = world.call("GET", f"/datastores/versions/{version_id('postgresql', '18')}")
    assert missed.status_code == 404
