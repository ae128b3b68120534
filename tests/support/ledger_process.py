"""Another process on the same database: `python -m tests.support.ledger_process FOLDER WORK NUMBER`, its answer as JSON."""

import json
import sys
from pathlib import Path
from uuid import UUID, uuid4

from tests.support.drawers import moved, opened
from tests.support.ledgers import ABOUT

from muniment.clock import SystemClock
from muniment.domain.refused import Refused
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.sqlite import open_sqlite
from muniment.store.writes import Reserve


def open_folder(folder: Path) -> Ledger:
    """The ledger of a folder that holds `keys` and, once somebody opened it, `ledger.db`."""
    cipher = PersonalCipher(Vault(KeyEncryptionKeys.read(folder / "keys")))
    return Ledger(open_sqlite(folder / "ledger.db"), clock=SystemClock(), cipher=cipher)


def append(ledger: Ledger, number: int) -> list[int]:
    """Save forty events of a drawer of one's own, one a save; the positions they got."""
    drawer = uuid4()
    positions = [ledger.save([opened(drawer, label=f"drawer {number}")], ABOUT).position]
    for version in range(2, 41):
        positions.append(ledger.save([moved(drawer, version)], ABOUT).position)
    return positions


def first(ledger: Ledger, number: int) -> str:
    """The first save of a project, racing with others."""
    drawer = UUID(int=number + 1)
    ledger.save([opened(drawer, label=f"drawer {number}")], ABOUT)
    return str(drawer)


def reserve(ledger: Ledger, number: int) -> int:
    """Try ten times to reserve one instance of a project that may have twelve; how often it was granted."""
    granted = 0
    for _ in range(10):
        try:
            ledger.save(
                [],
                ABOUT,
                writes=[Reserve(uuid4(), uuid4(), "project-1", {"instances": 1}, {"instances": 12})],
            )
            granted += 1
        except Refused:
            continue
    return granted


def main() -> None:
    """Do the work that the arguments name."""
    folder, work, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ledger = open_folder(folder)
    done = {"append": append, "first": first, "reserve": reserve}[work](ledger, number)
    ledger.close()
    print(json.dumps(done))


if __name__ == "__main__":
    main()
