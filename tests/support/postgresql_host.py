"""A real `Host` around a real PostgreSQL, as the agent makes one, with nothing else of the agent."""

import os
import pwd
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import TupleRow
from tests.support.scratch import short_directory

from muniment.contract.guest import EngineUser, Host, Place
from muniment.contract.ops import Bootstrap, Install
from muniment_guest.runtimes.process import ProcessRuntime
from muniment_postgresql.control import PostgresqlControl
from muniment_postgresql.guest import PostgresqlGuest

INSTALL = Install(datastore="postgresql", version="18")
MEMORY_MIB = 256
_UID_OF_NOBODY_KNOWN = 71_234


class QuietJob:
    """A job whose progress nobody wants to hear."""

    command_id = UUID(int=1)

    def progress(
        self, phase: str, *, done: int = 0, total: int | None = None, unit: str = "", message: str = ""
    ) -> None:
        """Nothing to tell."""


def engine_user() -> EngineUser:
    """As the agent chooses: a uid without a name under root, else who we are."""
    if os.geteuid() == 0:
        return EngineUser(uid=_UID_OF_NOBODY_KNOWN, gid=_UID_OF_NOBODY_KNOWN, name=None)
    entry = pwd.getpwuid(os.geteuid())
    return EngineUser(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name)


def make_host(folder: Path, cache: Path) -> Host:
    """An instance's directories below `folder`, for a server that does not run yet."""
    user = engine_user()
    folder.chmod(0o711)
    for name, mode in (("data", 0o700), ("run", 0o700), ("config", 0o711), ("agent", 0o700)):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
    for name in ("data", "run"):
        os.chown(folder / name, user.uid, user.gid)
    return Host(
        instance_id=uuid4(),
        data=_place(folder / "data"),
        run=_place(folder / "run"),
        config=_place(folder / "config"),
        cache=_place(cache),
        runtime=ProcessRuntime(
            user, pid_file=folder / "agent" / "pid", server_log=folder / "agent" / "log", cache=cache
        ),
        user=user,
        address="127.0.0.1",
        port=free_port(),
        memory_mib=MEMORY_MIB,
    )


def free_port() -> int:
    """A port that nobody uses, below those that the kernel gives to outgoing connections."""
    while True:
        port = random.choice(range(20_000, 32_000))
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def base_config() -> Bootstrap:
    """What the control plane sends."""
    return Bootstrap(
        base_config=PostgresqlControl().base_config(version="18", memory_mib=MEMORY_MIB),
        memory_mib=MEMORY_MIB,
    )


@contextmanager
def new_instance(cache: Path) -> Iterator[PostgresqlGuest]:
    """An instance with nothing in it; whatever runs at the end is stopped."""
    with short_directory() as folder:
        guest = PostgresqlGuest(make_host(folder, cache))
        try:
            yield guest
        finally:
            guest.host.runtime.stop_server(signal=3, grace_s=10)


@contextmanager
def running_instance(cache: Path) -> Iterator[PostgresqlGuest]:
    """A bootstrapped instance."""
    with new_instance(cache) as guest:
        guest.install(INSTALL, QuietJob())
        guest.bootstrap(base_config(), QuietJob())
        yield guest


def connect(guest: PostgresqlGuest, user: str, password: str, database: str) -> psycopg.Connection[TupleRow]:
    """As a tenant does: over TCP, with a password."""
    return psycopg.connect(
        host=guest.host.address,
        port=guest.host.port,
        user=user,
        password=password,
        dbname=database,
        autocommit=True,
    )


def _place(path: Path) -> Place:
    return Place(outside=path, inside=PurePosixPath(path))
