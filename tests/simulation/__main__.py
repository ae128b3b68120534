"""`python -m tests.simulation --seeds 200 --start 1`: simulate, and say what was met and what failed."""

import argparse
import sys
import time
from collections import Counter

import structlog
from tests.simulation.run import CRASH_POINTS, repeat_command, run_seeds


def main() -> int:
    """Run the seeds; 1 if one failed or if the run as a whole missed what it is for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[lambda *_: ""])
    began_s = time.monotonic()
    summary = run_seeds(range(chosen.start, chosen.start + chosen.seeds))
    took_s = time.monotonic() - began_s
    for seed, message in summary.failures.items():
        print(f"seed {seed}: {message}\n  repeat with: {repeat_command(seed)}")
    operations: Counter[str] = Counter()
    for report in summary.reports:
        operations += report.operations
    for name, count in sorted(operations.items()):
        print(f"{count:7} {name}")
    missed = summary.missed if chosen.seeds >= 20 else []
    for thing in missed:
        print(f"never met: {thing}")
    print(
        f"{len(summary.reports)} of {chosen.seeds} seeds passed, {len(CRASH_POINTS)} crash points, {took_s:.1f} s"
    )
    return 1 if summary.failures or missed else 0


if __name__ == "__main__":
    sys.exit(main())
