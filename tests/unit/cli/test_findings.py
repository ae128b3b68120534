"""What `muniment doctor` makes of what it looks at."""

from uuid import UUID

import pytest

from muniment.contract.messages import VolumeFacts
from muniment_cli.commands.finding import Verdict
from muniment_cli.commands.findings import database_finding, volume_finding

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


@pytest.mark.parametrize(
    ("status", "operating", "is_up", "told"),
    [
        ("ACTIVE", "HEALTHY", True, None),
        ("ACTIVE", "SHUTDOWN", True, "SHUTDOWN: its engine does not run"),
        ("ACTIVE", "ERROR", True, "ERROR: its engine does not answer"),
        ("ACTIVE", "ERROR", False, None),
        ("BUILD", "", True, None),
        ("ERROR", "", False, "ERROR: could not create the instance"),
    ],
)
def test_a_database_that_is_not_well_is_told(
    status: str, operating: str, is_up: bool, told: str | None
) -> None:
    """With its name, its reason and what to do; what was last heard long ago is no finding."""
    instance = {"id": "i-1", "name": "shop", "status": status, "operating_status": operating}
    if status == "ERROR":
        instance["fault"] = {"message": "could not create the instance"}

    found = database_finding(instance, is_up=is_up)

    if told is None:
        assert found is None
    else:
        assert found is not None
        assert (found.verdict, found.about) == (Verdict.WRONG, "instance shop (i-1)")
        assert found.finding.startswith(told)
        assert "i-1" in found.next_step
