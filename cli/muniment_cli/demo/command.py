"""`muniment demo`."""

from typing import Annotated

from cyclopts import Parameter, validators

from muniment_cli.demo.story import tell

__all__ = ["demo"]


def demo(
    *,
    rows: Annotated[
        int | None,
        Parameter(
            help="Load only that many flights; all 336,776 otherwise.", validator=validators.Number(gte=1)
        ),
    ] = None,
) -> int:
    """Play the whole story on a directory and ports of its own, and remove everything again.

    Creates a database over the REST API, loads the flights of 2013, takes a backup, deletes rows, restores, proves that
    every row is back, verifies the chain of events, rebuilds the read models, and goes on after a kill -9. The last line
    begins with `demo passed`; only then the exit code is 0.

    Example: `muniment demo --rows 5000`
    """
    return tell(rows)
