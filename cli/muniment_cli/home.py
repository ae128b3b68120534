"""Whether a data directory is at home: its databases, sockets and backups name paths, and a copy names those of its original."""

import shlex
from pathlib import Path

from muniment.cloud.local.servers import made_elsewhere
from muniment_cli.data_directory import DataDirectory
from muniment_cli.failure import BadInput

__all__ = ["check_home"]


def check_home(data: DataDirectory) -> None:
    """See that what this directory names is its own; asked before anything runs, stops or is removed on its behalf.

    One that was moved before it had a database, and that left nothing behind, may settle where it is.

    Raises:
        BadInput: it is a copy, or was moved with its databases; says what to do.
        Fault: a server's configuration cannot be read.
    """
    layout = data.layout()
    servers = made_elsewhere(layout)
    before = None if servers is None else _data_directory_of(servers, data)
    if data.home is not None and _is_another(data.home, data.root):
        before = data.home
    if before is None:
        return
    old, new = shlex.quote(str(before)), shlex.quote(str(data.root))
    if before.exists():
        raise BadInput(
            f"{new} is a copy of {old}, or was moved from there, and {old} is there too: databases, sockets and backups "
            f"belong to that one, so work with `--data {old}`; a copy that nobody needs can be removed like any directory; "
            "nothing was changed"
        )
    raise BadInput(
        f"the databases in {new} were made when it was {old}, and know their files by that path: move it back, "
        f"or link it with `ln -s {new} {old}`, and start with `--data {old}`; nothing was changed"
    )


def _data_directory_of(servers: Path, data: DataDirectory) -> Path:
    """Up from where servers lie, as they do in this one."""
    depth = len(data.layout().servers.relative_to(data.root).parts)
    return servers.parents[depth - 1]


def _is_another(home: Path, root: Path) -> bool:
    """Whether something is there under the old path that is not this very directory, as it is with a link."""
    try:
        return home != root and not home.samefile(root)
    except OSError:
        return False
