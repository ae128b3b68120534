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
            "datastores": ", ".join(
                f"{support.name} {version.name}"
                for support in driver.manifest.datastores
                for version in support.versions
            ),
            "capabilities": ", ".join(sorted(driver.manifest.capabilities)),
            "reasons": None,
        }
        for driver in registry.drivers
    ]
    refused: list[dict[str, object]] = [
        {
            "driver": rejected.driver or rejected.package,
            "state": "refused",
            "reasons": "; ".join(rejected.reasons),
        }
        for rejected in registry.rejected
    ]
    print_records([*usable, *refused], output, _COLUMNS)
    return FAILED if refused else 0
