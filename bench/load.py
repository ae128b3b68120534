"""What it costs to know the present state of a stream, by the number of its events, beside sqlite3 alone in the same run.

    python bench/load.py [--rounds 9]

"first": by a ledger that never read the stream. "again": by one that did, and nothing is new. "command": load, decide, save one
event. The floor reads the stream's rows and nothing more. All take turns; medians are shown, in microseconds of the processor's
time. Trust the ratios.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

from muniment.clock import SystemClock
from muniment.domain.event import About, Event
from muniment.domain.instance import (
    INSTANCE,
    DatabaseCreated,
    DatabaseDropped,
    HealthChanged,
    Instance,
    next_version,
)
from muniment.domain.occupancy import Hold, Occupied, Released
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.sqlite import SQLiteRecorder, open_sqlite
from projector import creation

ABOUT = About(project_id="bench", actor="bench")
SIZES = (10, 100, 1_000, 10_000)
ROWS = "SELECT * FROM events WHERE originator_id = ? ORDER BY originator_version"
VAULT = Vault(KeyEncryptionKeys.generate())


def life(instance: UUID, size: int) -> list[Event]:
    """The first events of an instance that falls ill and recovers, and on which operations make and drop databases."""
    events = [event for event in creation(instance) if event.originator_id == instance]
    while len(events) < size:
        operation, name, at = uuid4(), f"flights_of_{len(events)}", len(events)
        events += [
            HealthChanged(originator_id=instance, originator_version=at + 1, state="unknown"),
            HealthChanged(originator_id=instance, originator_version=at + 2, state="healthy"),
            Occupied(
                originator_id=instance,
                originator_version=at + 3,
                operation_id=operation,
                kind="create_databases",
                hold=Hold.SHARED,
            ),
            DatabaseCreated(originator_id=instance, originator_version=at + 4, name=name),
            DatabaseDropped(originator_id=instance, originator_version=at + 5, name=name),
            Released(originator_id=instance, originator_version=at + 6, operation_id=operation),
        ]
    return events[:size]


def ledger_on(recorder: SQLiteRecorder) -> Ledger:
    """A ledger that has read nothing yet."""
    return Ledger(recorder, clock=SystemClock(), cipher=PersonalCipher(VAULT))


def falls_ill(state: Instance | None) -> list[Event]:
    """A decision as small as any."""
    assert state is not None
    return [
        HealthChanged(originator_id=state.id, originator_version=next_version(state), state="unknown"),
    ]


def timed(work: Callable[[], object]) -> float:
    """Microseconds of the processor's time that a call takes."""
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) * 1e6


def measured(recorder: SQLiteRecorder, path: Path, size: int, rounds: int) -> str:
    """One line."""
    instance, warm = uuid4(), ledger_on(recorder)
    warm.save(life(instance, size), ABOUT)
    warm.load(INSTANCE, instance)
    costs: dict[str, list[float]] = {"floor": [], "first": [], "again": [], "command": []}
    with closing(sqlite3.connect(path)) as connection:
        for _ in range(rounds):
            costs["floor"].append(timed(lambda: connection.execute(ROWS, (str(instance),)).fetchall()))
            costs["first"].append(timed(lambda: ledger_on(recorder).load(INSTANCE, instance)))
            costs["again"].append(timed(lambda: warm.load(INSTANCE, instance)))
            costs["command"].append(timed(lambda: warm.command(INSTANCE, instance, falls_ill, ABOUT)))
    found = {name: median(values) for name, values in costs.items()}
    figures = "".join(f"{found[name]:11,.0f}" for name in ("floor", "first", "again", "command"))
    return f"{size:8,}{figures}{found['first'] / found['floor']:9.1f}{found['again'] / found['floor']:9.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(
        f"{'events':>8}{'floor':>11}{'first':>11}{'again':>11}{'command':>11}{'first/fl':>9}{'again/fl':>9}"
    )
    with tempfile.TemporaryDirectory(prefix="muniment-load-") as folder:
        path = Path(folder) / "ledger.db"
        with closing(open_sqlite(path)) as recorder:
            for size in SIZES:
                print(measured(recorder, path, size, options.rounds))


if __name__ == "__main__":
    main()
