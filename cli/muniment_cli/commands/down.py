"""`muniment down`: everything of an installation stops; with `--purge` it goes."""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from muniment.clock import SystemClock
from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.servers import ServerRecord
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.domain.backup import BackupRequested
from muniment.fault import Fault
from muniment_cli.data_directory import DataDirectory, find_data
from muniment_cli.failure import BadInput, Failure
from muniment_cli.installation import Installation
from muniment_cli.settings import Settings, agent_python, load_settings

__all__ = ["down"]

_PLANE_S = 30.0
_ENGINES_S = 90.0
_EXIT_S = 3.0
"""From the moment an agent gave its lock back until its process is gone; the last thing it does."""
_LOOK_S = 0.05
_LINE_S = 5.0
_PAGE = 500


def down(
    *,
    purge: Annotated[
        bool, Parameter(negative="", help="Remove every database, backup, account and key as well.")
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    data: Annotated[Path | None, Parameter(help="Data directory.")] = None,
) -> None:
    """Stop the control plane, its agents and their databases. The next `muniment up` starts them again.

    Example: `muniment down`, or `muniment down --purge` to remove everything
    """
    directory = find_data(data)
    cloud = LocalCloud(
        directory.layout(), LocalCloudSettings(), SystemClock(), agent_python=_agent_python(directory)
    )
    servers = list(cloud.servers.shelf.all())
    if purge and not yes:
        _ask(directory, len(servers))
    ran = _stop_plane(directory)
    with directory.lock():
        if purge:
            _purge(directory, cloud)
            return
        if not ran and all(cloud.servers.is_quiet(server) for server in servers):
            _stop_servers(cloud, servers)  # only file systems are left to take down
            print("nothing ran")
            return
        killed = _stop_servers(cloud, servers)
        print(f"stopped: the control plane and {_databases(len(servers))}")
        if killed:
            print(
                f"{_databases(killed)} did not stop in time and had to be killed; they recover at their next start"
            )


def _agent_python(directory: DataDirectory) -> Path:
    """What knows how to take containers away; stopping works with settings that cannot be read, too."""
    try:
        return agent_python(load_settings(directory.settings_file, os.environ))
    except Fault:
        return agent_python(Settings())


def _ask(directory: DataDirectory, servers: int) -> None:
    if not sys.stdin.isatty():
        raise BadInput("--purge removes everything; say --yes where nobody can be asked")
    print(f"This removes {_databases(servers)}, all backups, accounts and the key in {directory.root}.")
    print("There is no way back.")
    if input("Type yes to go on: ").strip().lower() != "yes":
        raise BadInput("nothing was removed")


def _stop_plane(directory: DataDirectory) -> bool:
    """Ask the control plane to end, as Ctrl-C would; whether it ran."""
    pid = directory.holder()
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise BadInput(f"the control plane (process {pid}) belongs to another user") from None
    except ProcessLookupError:
        return False
    deadline_s = time.monotonic() + _PLANE_S
    while directory.holder() == pid:
        if time.monotonic() > deadline_s:
            raise Failure(f"the control plane (process {pid}) has not ended in {_PLANE_S:.0f} s")
        time.sleep(_LOOK_S)
    return True


def _stop_servers(cloud: LocalCloud, servers: list[ServerRecord]) -> int:
    """Stop engines cleanly through their agents, then kill what withstands or has no agent. How many were killed."""
    for server in servers:
        cloud.servers.stop(server)
    deadline_s, without_agent_s = time.monotonic() + _ENGINES_S, time.monotonic()
    waiting, said_s = servers, time.monotonic()
    while waiting and time.monotonic() < deadline_s:
        time.sleep(_LOOK_S)
        waiting = [server for server in waiting if not cloud.servers.is_quiet(server)]
        if any(cloud.servers.agent_pid(server) is not None for server in waiting):
            without_agent_s = time.monotonic()
        elif time.monotonic() - without_agent_s > _EXIT_S:
            break
        if time.monotonic() - said_s > _LINE_S:
            said_s = time.monotonic()
            print(f"waiting for {_databases(len(waiting))}", file=sys.stderr)
    for server in servers:
        cloud.servers.end(server)
    return len(waiting)


def _purge(directory: DataDirectory, cloud: LocalCloud) -> None:
    """Remove everything; what is interrupted here is finished by the next purge, since the version file goes last."""
    for server in cloud.servers.shelf.all():
        if not cloud.servers.remove(server):
            raise Failure(f"processes of server {server.id} do not end; try again")
    _purge_backups(directory)
    run = directory.layout().run
    try:
        for entry in directory.root.iterdir():
            if entry not in (directory.version_file, directory.lock_file):
                _remove(entry)
        _remove(run)
        directory.version_file.unlink(missing_ok=True)
        directory.lock_file.unlink(missing_ok=True)
        _remove_root(directory.root)
    except OSError as error:
        raise Failure(f"{error.filename} cannot be removed: {error.strerror}") from error
    with contextlib.suppress(OSError):  # another installation has its own directory beside
        run.parent.rmdir()
    print(f"removed: everything of {directory.root}")


def _purge_backups(directory: DataDirectory) -> None:
    """Backups on another disk are removed one by one, since others may lie beside them."""
    try:
        installation = Installation(directory)
    except Fault:
        return  # the settings went with an earlier purge, and so had the backups
    try:
        if installation.backups_mark is None:
            return
        installation.check_backups()
        after, log = 0, installation.ledger.log
        while page := log.read(after, _PAGE):
            for logged in page:
                if isinstance(logged.event, BackupRequested):
                    event = logged.event
                    reference = installation.objects.reference(
                        event.project_id, event.originator_id, until_s=0
                    )
                    installation.objects.purge(reference)
            after = page[-1].position
        installation.backups_mark.path.unlink()
    finally:
        installation.close()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_root(root: Path) -> None:
    """Remove the empty data directory; where it is a link to another place, both."""
    place = root.resolve()
    if root.is_symlink():
        root.unlink()
    place.rmdir()


def _databases(count: int) -> str:
    return "1 database" if count == 1 else f"{count} databases"
