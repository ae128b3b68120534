"""What `muniment doctor` makes of what it looks at."""

from uuid import UUID

import pytest

from muniment.contract.messages import VolumeFacts
from muniment_cli.commands.finding import Verdict
from muniment_cli.commands.findings import volume_finding

_INSTANCE = UUID(int=7)


@pytest.mark.parametrize(
    ("used", "verdict"),
    [
        (0, Verdict.GOOD),
        (84, Verdict.GOOD),
        (85, Verdict.WARN),
        (94, Verdict.WARN),
        (95, Verdict.WRONG),
        (100, Verdict.WRONG),
    ],
)
def test_a_volume_that_fills_up_is_told(used: int, verdict: Verdict) -> None:
    """From 85 percent it is a warning, from 95 percent wrong; both say what to do."""
    facts = VolumeFacts(
        filesystem="xfs",
        uuid=None,
        size_bytes=100 * 2**30,
        used_bytes=used * 2**30,
        available_bytes=(100 - used) * 2**30,
        reflink=True,
        enforced=True,
    )

    found = volume_finding(_INSTANCE, facts)

    assert (found.verdict, found.about) == (verdict, f"volume of {_INSTANCE}")
    assert f"{used} % of 100.0 GiB" in found.finding
    assert bool(found.next_step) == (verdict is not Verdict.GOOD)
