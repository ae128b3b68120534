"""Settings of the gateway: its section of the settings file."""

from typing import Annotated

import msgspec

__all__ = ["GatewaySettings"]

Rate = Annotated[float, msgspec.Meta(gt=0, le=100_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much guests may ask. Rates are requests a second; a burst is how many may come at once after a pause."""

    uplink_rate: Rate = 20.0
    """Messages of one instance: a beat every 30 s and the progress of a job need far less."""
    uplink_burst: Count = 100
    """Of the messages of one instance."""
    downlink_rate: Rate = 5.0
    """Polls of one instance: one that finds nothing waits, so there are few unless an agent is broken."""
    downlink_burst: Count = 30
    """Of the polls of one instance."""
    enrolment_rate: Rate = 2.0
    """Enrolments from one network address, since nobody has proven anything yet."""
    enrolment_burst: Count = 60
    """Of the enrolments from one network address."""
    waiting_polls_max: Count = 20_000
    """Polls that may wait at once, of all instances; a further one is answered 503."""
    waiting_enrolments_max: Count = 256
    """Enrolments that may wait at once for their answer; a further one is answered 503."""
    poll_s: Annotated[float, msgspec.Meta(ge=0.01, le=10)] = 0.2
    """How often to look for what another process added; what this process added is told at once."""
