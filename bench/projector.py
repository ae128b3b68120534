"""What the read models cost: events per second through the projector, and pages per second out of a list.

    python bench/projector.py [--instances 300]

The floors are sqlite3 alone, in the same run: the very rows that the projector wrote, inserted into the same tables with
the same indexes in as many transactions; and the very query of a page, without filling in links. Trust the ratios.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4, uuid5

from muniment.clock import SystemClock
from muniment.domain.arguments import NoArguments
from muniment.domain.datastore import version_id
from muniment.domain.event import About, Event
from muniment.domain.instance import FlavorFacts, InstanceBecameActive, InstanceRequested, VersionFacts
from muniment.domain.occupancy import Hold
from muniment.domain.operation import Completed, End, Intended, Started, Subject, SubjectKind, Succeeded
from muniment.domain.resources import EndpointAssigned
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.documents import Site
from muniment_projections.instances import Instances
from muniment_projections.projector import BATCH, Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.rebuild import rebuild
from muniment_projections.row import OPEN, View

PROJECT = "bench"
STEPS = ("ensure_volume", "ensure_port", "ensure_server", "prepare_volume", "bootstrap")
PAGE, PAGES = 20, 500
SITE = Site("http://127.0.0.1:8779", PROJECT)
QUERY = f"""SELECT key, summary FROM instances WHERE valid_to = {OPEN} AND project_id = ?
    ORDER BY created_us DESC, key LIMIT {PAGE + 1}"""


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def creation(instance: UUID) -> list[Event]:
    """What one create leaves in the log: its instance and its operation."""
    operation = uuid5(instance, "create")
    subject = Subject(kind=SubjectKind.INSTANCE, id=instance, hold=Hold.EXCLUSIVE)
    version = VersionFacts(
        datastore="postgresql",
        version_id=version_id("postgresql", "18"),
        name="18",
        number="18.6",
        driver="postgresql",
    )
    events: list[Event] = [
        InstanceRequested(
            originator_id=instance,
            originator_version=1,
            name="orders",
            flavor=FlavorFacts(id="1", name="small", ram_mib=512, vcpus=1),
            volume_size_gib=2,
            datastore=version,
        ),
        EndpointAssigned(
            originator_id=instance, originator_version=2, address="127.0.12.1", port=5432, network_id="local"
        ),
        InstanceBecameActive(originator_id=instance, originator_version=3),
        Started(
            originator_id=operation,
            originator_version=1,
            kind="create_instance.1",
            subjects=(subject,),
            arguments=NoArguments(),
            steps=STEPS,
        ),
    ]
    for number, step in enumerate(STEPS):
        at = 2 + 2 * number
        events.append(Intended(originator_id=operation, originator_version=at, step=step, failures=0))
        events.append(Succeeded(originator_id=operation, originator_version=at + 1, step=step))
    last = 2 + 2 * len(STEPS)
    events.append(Completed(originator_id=operation, originator_version=last, outcome=End.SUCCEEDED))
    return events


def filled(instances: int) -> Ledger:
    """A ledger in memory with that many creates."""
    cipher = PersonalCipher(Vault(KeyEncryptionKeys.generate()))
    ledger = Ledger(open_memory(), clock=SystemClock(), cipher=cipher)
    about = About(project_id=PROJECT, actor="bench")
    for _ in range(instances):
        ledger.save(creation(uuid4()), about)
    return ledger


def insert_floor(read_model: ReadModel, source: Path, target: Path, transactions: int) -> float:
    """Seconds in which sqlite3 alone inserts all rows of `source` into empty tables at `target`."""
    ReadModel.open(target, CATALOGUE).close()
    tables = read_model.tables(1)
    names = [table.name for table in (*tables.shown.values(), tables.states)]
    with closing(sqlite3.connect(source)) as found:
        rows = {name: found.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in names}
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")

        def insert() -> None:
            for number in range(transactions):
                connection.execute("BEGIN IMMEDIATE")
                for name, all_rows in rows.items():
                    part = all_rows[number::transactions]
                    if part:
                        places = ", ".join("?" * len(part[0]))
                        connection.executemany(f"INSERT INTO {name} VALUES ({places})", part)
                connection.execute("COMMIT")

        return timed(insert)


def pages(read_model: ReadModel, path: Path) -> tuple[float, float]:
    """Seconds for `PAGES` first pages: as the API asks, and sqlite3 alone."""
    instances = Instances(read_model)

    def ours() -> None:
        for _ in range(PAGES):
            page = instances.page(project_id=PROJECT, view=View.SUMMARY, limit=PAGE)
            SITE.fill_list(page.joined)

    with closing(sqlite3.connect(path)) as connection:

        def raw() -> None:
            for _ in range(PAGES):
                connection.execute(QUERY, (PROJECT,)).fetchall()

        return timed(ours), timed(raw)


def main(instances: int) -> None:
    """Print the figures."""
    ledger = filled(instances)
    events = ledger.log.head()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        source = Path(name, "read.db")
        read_model = ReadModel.open(source, CATALOGUE)
        reading = timed(lambda: ledger.log.read(0, events))
        batched = timed(Projector(ledger.log, read_model).catch_up)
        raw = insert_floor(read_model, source, Path(name, "floor.db"), -(-events // BATCH))
        page_s, page_floor_s = pages(read_model, source)
        again = timed(lambda: rebuild(ledger.log, read_model))
        read_model.close()
    print(f"projector, {events} events in batches of {BATCH}")
    print(f"  reading and verifying the log  {events / reading:>10,.0f} events/s")
    print(f"  projecting, with that reading  {events / batched:>10,.0f} events/s")
    print(f"  floor: raw inserts of its rows {events / raw:>10,.0f} events/s   ratio {batched / raw:.1f}")
    print(f"  rebuild with proof and switch  {events / again:>10,.0f} events/s")
    print(f"list, {PAGE} of {instances} instances")
    print(f"  page with links                {PAGES / page_s:>10,.0f} pages/s")
    print(
        f"  floor: the query alone         {PAGES / page_floor_s:>10,.0f} pages/s    ratio {page_s / page_floor_s:.1f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=int, default=300)
    main(parser.parse_args().instances)
