"""A request for a larger data volume: what it is refused for before anything is recorded."""

from muniment.contract.manifest import Capability
from muniment.domain.instance import Instance, check_growable
from muniment.domain.offer import Offer
from muniment.domain.refused import Refused

__all__ = ["check_growth"]


def check_growth(instance: Instance, volume_size_gib: int, offer: Offer) -> int:
    """By how many GiB the volume of an instance is to grow; limits of the project are for the save to keep.

    Raises:
        Refused: the driver lacks the capability (422), it would not grow (400), it would be too large (413), or nothing
            may begin on the instance now (422).
    """
    offer.drivers.require(instance.datastore.datastore, Capability.VOLUME)
    if volume_size_gib <= instance.volume_size_gib:
        raise Refused(
            "volume-not-larger",
            f"the volume of instance {instance.id} has {instance.volume_size_gib} GiB and can only grow; ask for more than "
            f"that, not for {volume_size_gib}",
            status=400,
        )
    offer.volume_size_gib(volume_size_gib, None)
    check_growable(instance)
    return volume_size_gib - instance.volume_size_gib
