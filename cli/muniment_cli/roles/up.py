"""`muniment up`: every role but the agent in one process, on one data directory."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from muniment.durable_file import write_durably
from muniment.fault import Fault
from muniment_api.listen import refuse_open_gateway, refuse_open_listening
from muniment_cli.clouds_file import CloudsFile
from muniment_cli.data_directory import DataDirectory, default_data
from muniment_cli.data_option import OTHERWISE
from muniment_cli.failure import BadInput, Failure
from muniment_cli.home import check_home
from muniment_cli.installation import Installation
from muniment_cli.roles import first_start
from muniment_cli.roles.announcement import announce
from muniment_cli.roles.control_plane import ControlPlane
from muniment_cli.roles.listeners import address_of, free_port, listen, split
from muniment_cli.roles.logs import write_logs
from muniment_cli.roles.readiness import READY, STOPPING, tell_stage, tell_supervisor
from muniment_cli.roles.web import Served, Web
from muniment_cli.settings import Settings, load_settings

__all__ = ["up"]

_API = "127.0.0.1:8779"
_WATCH_S = 0.5


def up(
    *,
    data: Annotated[
        Path | None, Parameter(help=f"Data directory, made when it is not there; {OTHERWISE}.")
    ] = None,
    api: Annotated[str | None, Parameter(help="HOST:PORT of the REST API; kept for later starts.")] = None,
    backups: Annotated[Path | None, Parameter(help="Where backups lie; only at a first start.")] = None,
    verbose: Annotated[bool, Parameter(help="Log every step.")] = False,
) -> None:
    """Run the control plane and look after the databases of this machine.

    The first start makes the data directory with an encryption key, two accounts (`demo` and `admin`) and a
    `clouds.yaml` for them. Ctrl-C leaves agents and databases running; `muniment down` stops those too.

    Example: `muniment up --data ~/databases --backups /mnt/disk2/backups`
    """
    os.umask(0o077)
    directory = DataDirectory(default_data(os.environ) if data is None else data.expanduser().absolute())
    if directory.is_complete:
        directory.check()
    else:
        directory.make()
    with directory.lock(), ExitStack() as sockets:
        is_first = (
            not directory.is_complete
        )  # asked under the lock: another process may just have finished it
        is_new = is_first and not directory.settings_file.exists()
        try:
            directory.check_passable()
            first_start.check_settings(directory)
            if is_first:
                first_start.check(directory)
            settings, listener, gateway = _listeners(directory, api, backups, sockets)
        except (Failure, Fault):
            if is_new:
                directory.unmake()
            raise
        write_logs(verbose=verbose)
        _run(directory, settings, listener, gateway, is_first=is_first)


def _listeners(
    data: DataDirectory, api: str | None, backups: Path | None, sockets: ExitStack
) -> tuple[Settings, socket.socket, socket.socket]:
    """The settings, and the sockets for tenants and for agents."""
    settings, listener = _listen_for_tenants(data, api, backups)
    sockets.enter_context(listener)
    gateway = _listen_for_agents(settings, f"listen.gateway in {data.settings_file}")
    return settings, listener, sockets.enter_context(gateway)


def _listen_for_tenants(
    data: DataDirectory, api: str | None, backups: Path | None
) -> tuple[Settings, socket.socket]:
    """The settings, written when there are none, and the socket of the API."""
    if data.settings_file.exists():
        if backups is not None:
            raise BadInput(
                f"where backups lie is written in {data.settings_file}; only a first start takes --backups"
            )
        settings = load_settings(data.settings_file, os.environ)
        wanted = settings.listen.api if api is None or split(api)[1] == 0 else api  # port 0: any; it has one
        listener = _listen(settings, wanted)
        if wanted != settings.listen.api:
            first_start.change_api_address(data, address_of(listener))
    else:
        if backups is not None and not backups.is_dir():
            raise BadInput(f"{backups} is not a directory")
        listener = _listen(Settings(), api or _API)
        first_start.write_settings(data, api=address_of(listener), gateway=free_port(), backups=backups)
    return load_settings(data.settings_file, os.environ), listener


def _listen(settings: Settings, api: str) -> socket.socket:
    has_tls = settings.listen.certificate is not None
    refuse_open_listening(split(api)[0], tls=has_tls, allow_plain_http=settings.api.allow_plain_http)
    return listen(api, setting="--api")


def _listen_for_agents(settings: Settings, setting: str) -> socket.socket:
    refuse_open_gateway(split(settings.listen.gateway)[0], setting=setting)
    return listen(settings.listen.gateway, setting=setting)


def _run(
    data: DataDirectory,
    settings: Settings,
    listener: socket.socket,
    gateway: socket.socket,
    *,
    is_first: bool,
) -> None:
    url = first_start.api_url(settings, address_of(listener))
    if is_first:
        tell_stage(f"making key and accounts in {data.root}", os.environ)
        first_start.finish(data, settings, url)
    with closing(Installation(data)) as installation:
        _check_belongings(installation)
        _settle(installation)
        with installation.users.changing():
            CloudsFile(data.clouds_file).point_to(url)
        write_durably(data.gateway_file, f"http://{address_of(gateway)}\n".encode(), mode=0o644)
        plane = ControlPlane(installation)
        web = Web(
            [
                Served(plane.api, listener, settings.listen.certificate, settings.listen.private_key),
                Served(plane.gateway.app, gateway),
            ]
        )
        _serve(
            plane, web, lambda: announce(data, url, plane.remarks() if is_first else (), is_first=is_first)
        )
    print("stopped; agents and databases keep running, `muniment down` stops them", flush=True)


def _check_belongings(installation: Installation) -> None:
    """See that key, ledger, backups and servers belong together, and to this place.

    Raises:
        BadInput: the databases were made under another path, or the backups are not there.
        Fault: the key file is not the one of this ledger.
    """
    check_home(installation.data)
    installation.check_key()
    installation.check_backups()


def _settle(installation: Installation) -> None:
    """Take the place: what tells others whose it is, and the directory for sockets, which a boot takes away."""
    if installation.data.settle() and installation.backups_mark is not None:
        installation.backups_mark.write()
    installation.data.layout().make_run()


def _serve(plane: ControlPlane, web: Web, announce: Callable[[], None]) -> None:
    """Run until a signal asks for the end."""
    asked = threading.Event()

    def ask(number: int, _frame: object) -> None:
        asked.set()
        signal.signal(number, signal.SIG_DFL)  # whoever asks twice means it

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    try:
        tell_stage("bringing what is shown up to date with the events", os.environ)
        plane.start()
        tell_stage("starting to serve", os.environ)
        web.start()
        announce()
        tell_supervisor(READY, os.environ)
        while not asked.wait(_WATCH_S):
            if not web.is_running:
                raise Failure(f"the HTTP servers ended: {web.failure or 'see the log'}")
        tell_supervisor(STOPPING, os.environ)
    finally:
        plane.gateway.close()
        web.stop()
        plane.stop()
