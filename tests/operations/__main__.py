"""`python -m tests.operations`: mistreat every operation, and say how much was run."""

import sys
import time

import structlog
from tests.operations.cases import CASES
from tests.operations.helpers import HELPERS

from muniment.operations.catalogue import CATALOGUE


def main() -> int:
    """Run all helpers; a failure is raised."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[lambda *_: ""])
    for helper in HELPERS:
        began_s = time.monotonic()
        print(f"{helper.__name__}: {helper(CATALOGUE, CASES)}, {time.monotonic() - began_s:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
