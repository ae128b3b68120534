"""`muniment down`: everything of an installation stops; with `--purge` it goes."""

import os
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
from muniment.fault import Fault
from muniment_cli.commands.purge import Purge
from muniment_cli.data_directory import DataDirectory, find_data
from muniment_cli.data_option import Data
from muniment_cli.failure import BadInput, Failure
from muniment_cli.home import check_home
from muniment_cli.settings import Settings, agent_python, load_settings

__all__ = ["down"]

_PLANE_S = 30.0
_ENGINES_S = 90.0
_EXIT_S = 3.0
"""From the moment an agent gave its lock back until its process is gone; the last thing it does."""
_LOOK_S = 0.05
_LINE_S = 5.0


def down(
    *,
    purge: Annotated[
        bool, Parameter(negative="", help="Remove every database, backup, account and key as well.")
    ] = False,
    leave_backups: Annotated[
        bool,
        Parameter(
            negative="",
            help="With --purge: leave backups that lie outside of the data directory, for when their disk is gone for good. "
            "Without the key, which goes, nobody can open them.",
        ),
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Stop the control plane, its agents and their databases. The next `muniment up` starts them again.

    Example: `muniment down`, or `muniment down --purge` to remove everything
    """
    if leave_backups and not purge:
        raise BadInput("--leave-backups goes with --purge; without it every backup stays")
    directory = find_data(data, is_to_go=purge)
    check_home(directory)
    cloud = LocalCloud(
        directory.layout(), LocalCloudSettings(), SystemClock(), agent_python=_agent_python(directory)
    )
    servers = list(cloud.servers.shelf.all())
    end = Purge(directory, cloud, leaves_backups=leave_backups)
    if purge:
        end.check()
        if not yes:
            _ask(directory, len(servers))
    ran = _stop_plane(directory)
    with directory.lock():
        if purge:
            end.run()
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


def _databases(count: int) -> str:
    return "1 database" if count == 1 else f"{count} databases"
