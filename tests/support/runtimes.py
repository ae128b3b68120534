"""A runtime of each kind with what is around it, for an engine that is no engine."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from uuid import uuid4

import pytest
from tests.support.containers import SOCKET, docker_tests
from tests.support.postgresql_host import engine_user, free_port
from tests.support.scratch import short_directory

from muniment.contract.guest import EngineUser, Place, Runtime, Sources
from muniment.contract.ops import Install
from muniment_guest.host import ENGINE_NAME
from muniment_guest.runtimes.docker.clearing import clear
from muniment_guest.runtimes.docker.container import Mounts
from muniment_guest.runtimes.docker.engine import Engine
from muniment_guest.runtimes.docker.runtime import DockerRuntime
from muniment_guest.runtimes.process import ProcessRuntime

IMAGE = "muniment/postgresql:17"
RUNTIMES = ("process", pytest.param("docker", marks=docker_tests(IMAGE)))


@dataclass(frozen=True)
class RuntimeBench:
    """One server's runtime; `again` is the same, as the next agent or a job makes it."""

    runtime: Runtime
    again: Callable[[], Runtime]
    user: EngineUser
    data: Place
    install: Install
    sources: Sources


@contextmanager
def open_bench(kind: str) -> Iterator[RuntimeBench]:
    """Nothing runs yet; whatever runs at the end is killed."""
    with short_directory() as folder:
        folder.chmod(0o711)
        yield from _BENCHES[kind](folder)


def _process(folder: Path) -> Iterator[RuntimeBench]:
    user = engine_user()

    def make() -> ProcessRuntime:
        return ProcessRuntime(
            user, pid_file=folder / "engine.json", server_log=folder / "engine.log", cache=folder / "cache"
        )

    data = folder / "data"
    data.mkdir(mode=0o700)
    os.chown(data, user.uid, user.gid)
    bench = RuntimeBench(
        make(),
        make,
        user,
        Place(data, PurePosixPath(data)),
        Install(datastore="toy", version="1"),
        Sources(server="bin/env", installed=("/usr",)),
    )
    try:
        yield bench
    finally:
        bench.runtime.stop_server(signal=9, grace_s=10)


def _docker(folder: Path) -> Iterator[RuntimeBench]:
    user = replace(engine_user(), name=ENGINE_NAME)
    instance_id = uuid4()
    data, state = folder / "data", folder / "state"
    state.mkdir(mode=0o711)
    data.mkdir(mode=0o700)
    os.chown(data, user.uid, user.gid)
    install = Install(datastore="toy", version="1", image=IMAGE)
    sources = Sources(server="bin/env")
    port = free_port()
    connections: list[Engine] = []

    def make() -> DockerRuntime:
        made = DockerRuntime(
            instance_id,
            user,
            socket=SOCKET,
            state=state,
            mounts=Mounts((data,), ()),
            tool_mounts=Mounts((), ()),
            address="127.0.0.1",
            port=port,
            memory_mib=256,
        )
        made.programs(install, sources)
        connections.append(made._engine)
        return made

    try:
        yield RuntimeBench(make(), make, user, Place(data, PurePosixPath(data)), install, sources)
    finally:
        clear(SOCKET, instance_id)
        for connection in connections:
            connection.close()


_BENCHES: dict[str, Callable[[Path], Iterator[RuntimeBench]]] = {
    "process": _process,
    "docker": _docker,
}
