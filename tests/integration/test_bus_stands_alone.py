"""The bus is what guests have of the core: it must work where the control plane's packages are not installed."""

import subprocess
import sys

_SCRIPT = """
import pkgutil, sys
from importlib import import_module
import muniment.bus, muniment.bus.transports
for package in (muniment.bus, muniment.bus.transports):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
print(*sorted(name for name in sys.modules if name.startswith("muniment.") and name.count(".") == 1))
"""
_CONTROL_PLANE = {"eventsourcing", "sqlalchemy", "starlette", "structlog", "uvicorn", "psycopg", "pluggy"}


def test_imports() -> None:
    """All of the bus imports without the control plane's libraries and rooms."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    libraries, rooms = done.stdout.splitlines()
    assert not _CONTROL_PLANE & set(libraries.split())
    assert set(rooms.split()) == {"muniment.bus", "muniment.clock", "muniment.fault", "muniment.secret"}
