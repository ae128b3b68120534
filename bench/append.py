"""What a save costs: saves per second through the ledger, beside sqlite3 alone in the same run.

    python bench/append.py [--rounds 7] [--saves 150] [--dir DIR]

The floor is one `BEGIN IMMEDIATE`, one `INSERT` of a body of the same size, one `COMMIT`, with the same pragmas on the
same disk. Floor and ledger take turns; of each pair's ratio the median and the range are shown. On a busy machine trust the
ratios, and more than these the processor's time of a save.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import uuid4

from muniment.clock import SystemClock
from muniment.domain.event import About, Event
from muniment.domain.instance import InstanceRenamed
from muniment.domain.resources import ResourceHeld, Role
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment.store.recorder import Recorder
from muniment.store.sqlite import open_sqlite
from muniment.store.verify import verify_log
from muniment.store.writes import Enqueue, Write

ABOUT = About(project_id="bench", actor="user:bench", request_id="req-0f3c1c2e-9f3e-4f1e-9d0a-3d1f5b0e7a11")
BATCH = 10
THREADS = 8


class Way(NamedTuple):
    """A way to save, with the floor it is measured against."""

    name: str
    floor_rows: int
    save: Callable[["Streams"], None]


class Streams:
    """A ledger with one stream that grows."""

    def __init__(self, recorder: Recorder) -> None:
        """Begin a stream."""
        cipher = PersonalCipher(Vault(KeyEncryptionKeys.generate()))
        self.ledger = Ledger(recorder, clock=SystemClock(), cipher=cipher)
        self.stream, self.version = uuid4(), 0

    def held(self, count: int) -> list[Event]:
        """The next events of the stream, none of them personal."""
        return [
            ResourceHeld(
                originator_id=self.stream,
                originator_version=self._next(),
                role=Role.VOLUME,
                resource_id=str(uuid4()),
            )
            for _ in range(count)
        ]

    def renamed(self) -> list[Event]:
        """The next event of the stream, with a personal field."""
        return [
            InstanceRenamed(
                originator_id=self.stream, originator_version=self._next(), name="flights of 2013"
            )
        ]

    def _next(self) -> int:
        self.version += 1
        return self.version


def _one(streams: Streams) -> None:
    streams.ledger.save(streams.held(1), ABOUT)


def _sealed(streams: Streams) -> None:
    streams.ledger.save(streams.renamed(), ABOUT)


def _with_row(streams: Streams) -> None:
    writes: list[Write] = [Enqueue(uuid4(), "bench.1", 0.0)]
    streams.ledger.save(streams.held(1), ABOUT, writes=writes)


def _ten(streams: Streams) -> None:
    streams.ledger.save(streams.held(BATCH), ABOUT)


def _rows_alone(streams: Streams) -> None:
    streams.ledger.save([], ABOUT, writes=[Enqueue(uuid4(), "bench.1", 0.0)])


WAYS = (
    Way("one event", 1, _one),
    Way("one event with a personal field", 1, _sealed),
    Way("one event and a queue row", 1, _with_row),
    Way("a queue row alone", 1, _rows_alone),
    Way(f"{BATCH} events", BATCH, _ten),
)


class Floor:
    """sqlite3 alone, with the pragmas and the index that a log needs."""

    def __init__(self, target: str) -> None:
        """Make a table in a new database."""
        self._connection = sqlite3.connect(target, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute(
            "CREATE TABLE floor (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, v INTEGER, body BLOB, UNIQUE (id, v))"
        )
        self._id, self._version = str(uuid4()), 0

    def save(self, rows: int, body: bytes) -> None:
        """One transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        for _ in range(rows):
            self._version += 1
            row = (self._id, self._version, body)
            self._connection.execute("INSERT INTO floor (id, v, body) VALUES (?, ?, ?)", row)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()


class Cost(NamedTuple):
    """How often something is done in a second, and the processor's time for one of it."""

    per_s: float
    cpu_us: float


def cost(work: Callable[[], None], count: int) -> Cost:
    """What `work` costs, over `count` times."""
    began, cpu_began = time.perf_counter(), time.process_time()
    for _ in range(count):
        work()
    return Cost(count / (time.perf_counter() - began), (time.process_time() - cpu_began) / count * 1e6)


def compare(way: Way, streams: Streams, floor: Floor, rounds: int, saves: int) -> str:
    """One line: rates, their ratio, and the processor's time on both sides."""
    body = b"x" * 420
    floors, ours = [], []
    for _ in range(rounds):
        floors.append(cost(lambda: floor.save(way.floor_rows, body), saves))
        ours.append(cost(lambda: way.save(streams), saves))
    ratios = [mine.per_s / theirs.per_s for mine, theirs in zip(ours, floors, strict=True)]
    return (
        f"{way.name:36}{median(c.per_s for c in ours):8.0f}{median(c.per_s for c in floors):9.0f}"
        f"{median(ratios):7.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
        f"{median(c.cpu_us for c in ours):9.0f}{median(c.cpu_us for c in floors):9.0f}"
    )


def threads_rate(recorder: Recorder, saves: int) -> float:
    """Saves per second of several threads, each with a stream of its own, on one recorder."""

    def work(streams: Streams) -> None:
        for _ in range(saves):
            _one(streams)

    all_streams = [Streams(recorder) for _ in range(THREADS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, all_streams))
    return THREADS * saves / (time.perf_counter() - began)


def reading(streams: Streams, recorder: Recorder) -> list[str]:
    """Events per second when they are read, and proven."""
    lines, head = [], streams.ledger.log.head()
    began = time.perf_counter()
    events = len(streams.ledger.history(streams.stream))
    lines.append(
        f"{'history of one stream, verified':36} {events / (time.perf_counter() - began):8.0f} events/s"
    )
    began, after = time.perf_counter(), 0
    while page := streams.ledger.log.read(after, 1000):
        after = page[-1].position
    lines.append(f"{'the log, 1000 a page':36} {head / (time.perf_counter() - began):8.0f} events/s")
    began = time.perf_counter()
    assert verify_log(recorder).broken is None
    lines.append(f"{'proof of the whole log':36} {head / (time.perf_counter() - began):8.0f} events/s")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--saves", type=int, default=150, help="saves a round")
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="muniment-append-") as folder:
        for name, recorder, target in (
            ("SQLite on disk", open_sqlite(Path(folder) / "ledger.db"), str(Path(folder) / "floor.db")),
            ("memory", open_memory(), ":memory:"),
        ):
            with closing(recorder), closing(Floor(target)) as floor:
                print(f"{name + ', a save of':36} saves/s  floor/s  ratio               CPU us floor us")
                streams = Streams(recorder)
                for way in WAYS:
                    print(compare(way, streams, floor, options.rounds, options.saves))
                print(f"{f'one event, {THREADS} threads':36} {threads_rate(recorder, options.saves):8.0f}")
                print(*reading(streams, recorder), "", sep="\n")


if __name__ == "__main__":
    main()
