"""`python -m tests.kills`: kill the control plane and the agents at every step of every operation, and say what was met."""

import argparse
import sys
import time

from tests.kills.killing import Hit, Victim
from tests.kills.matrix import missing_kinds, missing_steps, run
from tests.kills.scenarios import SCENARIOS


def main() -> int:
    """Run the matrix, or the scenarios that are named; 1 if one failed or if something of the catalogue was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills")
    parser.add_argument("--only", default="", help="scenarios whose name or kind has this in it")
    parser.add_argument("--victim", choices=[str(victim) for victim in Victim], help="only this one")
    chosen = parser.parse_args()
    scenarios = [one for one in SCENARIOS if chosen.only in one.name or chosen.only in one.kind]
    victims = [Victim(chosen.victim)] if chosen.victim else list(Victim)
    began_s = time.monotonic()
    report = run(scenarios, victims, say=lambda line: print(line, flush=True))
    is_whole = len(scenarios) == len(SCENARIOS)
    missed = sorted(missing_kinds() | missing_steps(report.steps)) if is_whole else []
    missed += [
        f"never in a step: {v}" for v in victims if not any(k[2:] == (v, Hit.PENDING) for k in report.hits)
    ]
    for thing in missed:
        print(f"missed: {thing}")
    for failure in report.failures:
        print(f"failed: {failure}")
    print(f"{report.summary()}; {time.monotonic() - began_s:.0f} s")
    return 1 if report.failures or missed else 0


if __name__ == "__main__":
    sys.exit(main())
