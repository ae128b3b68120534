"""A runtime of each kind with what is around it, for an engine that is no engine."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.support.postgresql_host import engine_user
from tests.support.scratch import short_directory

from muniment.contract.guest import EngineUser, Place, Runtime, Sources
from muniment.contract.ops import Install
from muniment_guest.runtimes.process import ProcessRuntime

RUNTIMES = ("process",)


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


_BENCHES: dict[str, Callable[[Path], Iterator[RuntimeBench]]] = {"process": _process}
