"""The decider of a larger volume."""

import dataclasses

import msgspec
import pytest
from tests.simulation.control_driver import SimulatedControl
from tests.simulation.requests import OFFER
from tests.unit.domain.test_backup_request import building, running

from muniment.contract.manifest import Capability, Manifest
from muniment.domain.drivers import Drivers
from muniment.domain.instance import INSTANCE, Instance, VolumeExtended, VolumeGrown, VolumePrepared
from muniment.domain.refused import Refused
from muniment.domain.volume_growth import check_growth


class NoVolume(SimulatedControl):
    """A control half of a driver that has nothing to do with volumes."""

    @property
    def manifest(self) -> Manifest:
        """The simulated one, less volumes."""
        whole = super().manifest
        return msgspec.structs.replace(whole, capabilities=whole.capabilities - {Capability.VOLUME})


def refusal(instance: Instance, size_gib: int, offer: object = OFFER) -> tuple[str, int]:
    with pytest.raises(Refused) as refused:
        check_growth(instance, size_gib, offer)  # type: ignore[arg-type]
    return refused.value.code, refused.value.status


def test_the_difference_is_what_grows() -> None:
    """From 2 GiB to 5 takes 3 more."""
    assert check_growth(running(), 5, OFFER) == 3


@pytest.mark.parametrize("size_gib", [1, 2])
def test_a_volume_only_grows(size_gib: int) -> None:
    """The same size, and a smaller one, are refused whatever the state."""
    assert refusal(running(), size_gib) == ("volume-not-larger", 400)
    assert refusal(building(), size_gib) == ("volume-not-larger", 400)


def test_the_largest_volume_is_a_limit() -> None:
    """As at creation."""
    too_large = OFFER.volume_size_gib_max + 1
    assert refusal(running(), too_large) == ("volume-too-large", 413)


def test_an_instance_that_is_not_active_does_not_grow() -> None:
    """A building one has nothing that could."""
    assert refusal(building(), 5) == ("instance-not-active", 422)


def test_a_driver_without_volumes_is_refused() -> None:
    """By the name of what it lacks."""
    datastore = running().datastore.datastore
    offer = dataclasses.replace(OFFER, drivers=Drivers({datastore: NoVolume()}))
    assert refusal(running(), 5, offer) == ("not-capable", 422)


def test_the_history_tells_both_sizes() -> None:
    """What the cloud has, and what the filesystem offers."""
    instance = running()
    events = [
        VolumePrepared(
            originator_id=instance.id,
            originator_version=3,
            filesystem="xfs",
            reflink=True,
            enforced=True,
            size_bytes=2,
        ),
        VolumeExtended(originator_id=instance.id, originator_version=4, volume_size_gib=5),
        VolumeGrown(originator_id=instance.id, originator_version=5, size_bytes=5),
    ]
    grown = INSTANCE.fold(instance, events)
    assert grown is not None
    assert grown.volume is not None
    assert (grown.volume_size_gib, grown.volume.size_bytes, grown.volume.filesystem) == (5, 5, "xfs")


def test_an_engine_that_gives_no_answer_is_no_obstacle() -> None:
    """A full volume is a reason for its silence; without an agent nobody grows anything."""
    silent = msgspec.structs.replace(running(), health="unknown")
    lost = msgspec.structs.replace(running(), health="lost")
    assert check_growth(silent, 5, OFFER) == 3
    assert refusal(lost, 5) == ("instance-unhealthy", 422)
