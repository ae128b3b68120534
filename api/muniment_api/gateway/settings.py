"""Settings of the gateway: its section of the settings file."""

from typing import Annotated

import msgspec

__all__ = ["GatewaySettings"]

Rate = Annotated[float, msgspec.Meta(gt=0, le=100_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much guests may ask. Rates are requests a second; a burst is how many may come at once after a pause."""

    uplink_rate: Rate = 20.0
    uplink_burst: Count = 100
    """Per instance: a beat every 30 s and the progress of a job need far less."""
    downlink_rate: Rate = 5.0
    downlink_burst: Count = 30
    """Per instance: a poll that finds nothing waits, so polls are few unless an agent is broken."""
    enrolment_rate: Rate = 2.0
    enrolment_burst: Count = 60
    """Per address of the network, since nobody has proven anything yet."""
    waiting_polls_max: Count = 20_000
    waiting_enrolments_max: Count = 256
    poll_s: Annotated[float, msgspec.Meta(ge=0.01, le=10)] = 0.2
    """How often to look for what another process added; what this process added is told at once."""
