"""How long things may take: the times of the operation engine, in seconds."""

import msgspec

__all__ = ["ONE_MACHINE", "Timing"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """All times of the engine. The defaults suit a cloud; `ONE_MACHINE` suits the local one.

    Two of them carry the safety of cloud calls: no call begins later than `permit_s` after its intent, and what it does is
    visible at the latest `effect_s` after that (the client's time limit plus the longest the cloud works on). Then a look
    that finds nothing is final. `lease_s` is only thrift; let it be more than both together.
    """

    permit_s: float = 20.0
    effect_s: float = 15.0
    lease_s: float = 60.0
    cloud_poll_s: float = 2.0
    """Between looks at a resource that is being made or removed."""
    busy_poll_s: float = 5.0
    """Between looks of the next in line at an instance that others still have commands for; their end pokes, this is the
    net below. Who stands further back looks rarer."""
    guest_poll_s: float = 5.0
    """Between looks whether the agent has enrolled; enrolment pokes, this is the net below."""
    backoff_s: float = 5.0
    """Before the first repeat; doubles with each, up to `backoff_max_s`."""
    backoff_max_s: float = 300.0
    blocked_after_s: float = 120.0
    """How long a removal may take before it is called blocked."""
    job_begin_s: float = 120.0
    """How long a guest may take to begin a job."""
    silence_s: float = 35.0
    """Since the last progress of a job, which guests report every 10 s."""
    ask_s: float = 15.0
    """How long the guest may take to say what became of a command."""
    asks_max: int = 3
    skew_s: float = 10.0
    """By how much a guest's clock may be wrong."""
    enrolment_s: float = 1800.0
    """How long a one-time token is good."""
    upload_s: float = 6 * 3600.0
    """How long a guest may write the objects of one backup."""
    secrets_s: float = 7 * 86400.0
    """When sealed values are deleted even if their operation did not end."""

    def __post_init__(self) -> None:
        """Refuse times that would undo the rules above."""
        assert self.lease_s >= self.permit_s + self.effect_s, "a lease outlives the calls of a turn"

    def backoff(self, failures: int) -> float:
        """Wait before the next try after so many failures.

        >>> [Timing().backoff(n) for n in (1, 2, 3, 20)]
        [5.0, 10.0, 20.0, 300.0]
        """
        return min(self.backoff_s * 2.0 ** min(failures - 1, 30), self.backoff_max_s)


ONE_MACHINE = Timing(
    permit_s=10.0,
    effect_s=5.0,
    lease_s=20.0,
    cloud_poll_s=0.1,
    guest_poll_s=0.25,
    backoff_s=0.5,
    backoff_max_s=30.0,
)
"""Where cloud, agents and control plane share one machine: calls take milliseconds, and so does their end."""
