"""`muniment drivers`: which drivers are installed, and which are refused and why."""

from typing import Annotated

from cyclopts import Parameter

from muniment.contract.registry import Registry
from muniment_cli.failure import FAILED
from muniment_cli.output import Form, print_records

__all__ = ["drivers"]

_COLUMNS = ("driver", "version", "state", "datastores", "capabilities", "reasons")


def drivers(
    *, output: Annotated[Form, Parameter(alias="-o", help="How to print the result.")] = "table"
) -> int:
    """List the drivers installed beside this program; exit code 1 when one is refused.

    Example: `muniment drivers -o json`
    """
    registry = Registry.load()
    usable: list[dict[str, object]] = [
        {
            "driver": driver.manifest.driver,
            "version": driver.manifest.version,
            "state": "installed",
            "datastores": [
                f"{support.name} {version.name}"
                for support in driver.manifest.datastores
                for version in support.versions
            ],
            "capabilities": sorted(driver.manifest.capabilities),
            "reasons": [],
        }
        for driver in registry.drivers
    ]
    refused: list[dict[str, object]] = [
        {
            "driver": rejected.driver or rejected.package,
            "state": "refused",
            "datastores": [],
            "capabilities": [],
            "reasons": list(rejected.reasons),
        }
        for rejected in registry.rejected
    ]
    rows = [*usable, *refused]
    print_records(rows if output != "table" else [_for_people(row) for row in rows], output, _COLUMNS)
    return FAILED if refused else 0


def _for_people(row: dict[str, object]) -> dict[str, object]:
    """Lists as a person reads them."""
    return {key: ", ".join(value) or None if isinstance(value, list) else value for key, value in row.items()}
