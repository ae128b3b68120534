"""Which events a program can read that works on a ledger."""

import subprocess
import sys

KNOWN = """
import importlib, pkgutil
from muniment.domain.event import topics
import muniment.store.ledger
import muniment.domain
before = set(topics())
for module in pkgutil.iter_modules(muniment.domain.__path__):
    importlib.import_module("muniment.domain." + module.name)
print(sorted(set(topics()) - before))
"""


def test_who_can_open_a_ledger_can_read_every_event() -> None:
    """Whatever else it has imported: a log holds events of all kinds of streams."""
    done = subprocess.run([sys.executable, "-c", KNOWN], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
