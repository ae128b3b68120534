"""What an authenticated list costs: `GET /instances` with 100 instances in the read model, against a floor.

    python bench/list_instances.py [--seconds 0.5] [--rounds 9]

The floor is a bare Starlette application that answers the very same bytes, served and asked in the same way: over loopback,
by as many keep-alive connections, in the same run. Both take turns; of each pair's ratio the median and the range are shown.
On a busy machine trust the ratios, and more than these the processor's time of an answer, which is server's and client's.
"""

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from muniment.clock import SystemClock
from muniment.cloud.local.objects import FileObjectStore
from muniment.contract.registry import Registry
from muniment.domain.event import About
from muniment.operations.scene import Knowledge
from muniment.operations.timing import ONE_MACHINE
from muniment.secret import Secret
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment_api.app import create_app
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.auth.passwords import hash_password
from muniment_api.auth.users import Grant, Project, User, Users, UsersFile
from muniment_api.services import Services
from muniment_api.settings import ApiSettings
from muniment_cli.roles.logs import write_logs
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.projector import Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.waiting import Arrivals
from projector import PROJECT, creation

INSTANCES, CONNECTIONS = 100, 8
USER, PASSWORD = "bench", "correct horse battery staple"


def api(folder: Path) -> ASGIApp:
    """The whole application over a ledger in memory and a read model with all instances in it."""
    clock, vault, settings = SystemClock(), Vault(KeyEncryptionKeys.generate()), ApiSettings()
    cipher = PersonalCipher(vault)
    ledger = Ledger(open_memory(), clock=clock, cipher=cipher)
    for _ in range(INSTANCES):
        ledger.save(creation(uuid4()), About(project_id=PROJECT, actor="bench"))
    read_model = ReadModel.open(folder / "read.db", CATALOGUE)
    Projector(ledger.log, read_model).catch_up()
    drivers = Registry.load()
    services = Services(
        ledger=ledger,
        read_model=read_model,
        arrivals=Arrivals(read_model),
        clock=clock,
        vault=vault,
        cipher=cipher,
        knowledge=Knowledge(drivers.control, FileObjectStore(folder), ONE_MACHINE),
        controls={s.name: drivers.control(s.name) for s in drivers.datastores()},
        flavors=[],
        networks=[],
        capabilities=frozenset(),
        allows_superuser=False,
    )
    identity = EmbeddedIdentity(users(folder), clock)
    return create_app(
        identity=identity,
        services=services,
        settings=settings,
        checks={},
        identity_app=keystone_app(identity, settings),
    )


def users(folder: Path) -> UsersFile:
    """One member of one project."""
    user = User(
        id="u-1",
        name=USER,
        default_project_id=PROJECT,
        grants=(Grant(PROJECT, ("member",)),),
        password=hash_password(Secret(PASSWORD)),
    )
    projects = (Project(PROJECT, PROJECT),)
    return UsersFile.create(folder / "users.json", Users(version=1, projects=projects, users=(user,)))


def floor(content: bytes) -> ASGIApp:
    """Nothing but the bytes."""

    async def answer(request: Request) -> Response:
        return Response(content, media_type="application/json")

    return Starlette(routes=[Route("/v1.0/{project_id}/instances", answer)])


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application as `muniment up` does."""
    config = uvicorn.Config(
        app,
        port=0,
        log_config=None,
        access_log=False,
        server_header=False,
        loop="asyncio",
        http="h11",
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def log_in(url: str) -> str:
    """A token."""
    identity = {"methods": ["password"], "password": {"user": {"name": USER, "password": PASSWORD}}}
    answer = httpx.post(f"{url}/identity/v3/auth/tokens", json={"auth": {"identity": identity}}, timeout=30)
    token: str = answer.raise_for_status().headers["X-Subject-Token"]
    return token


class Cost(NamedTuple):
    """Answers a second, and the processor's time for one of them."""

    per_s: float
    cpu_us: float


async def asked(url: str, token: str, seconds: float) -> int:
    """How many answers came over all connections: plain sockets, since an HTTP client costs more than what is measured."""
    host, _, port = url.removeprefix("http://").partition(":")
    request = (
        f"GET /v1.0/{PROJECT}/instances HTTP/1.1\r\nHost: {host}:{port}\r\nX-Auth-Token: {token}\r\n\r\n"
    ).encode()
    ends = time.perf_counter() + seconds

    async def ask() -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        answers = 0
        while time.perf_counter() < ends:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            answers += 1
        writer.close()
        return answers

    return sum(await asyncio.gather(*(ask() for _ in range(CONNECTIONS))))


def cost(url: str, token: str, seconds: float) -> Cost:
    """What answers cost for about so many seconds."""
    cpu_began_s = time.process_time()
    answers = asyncio.run(asked(url, token, seconds))
    return Cost(answers / seconds, (time.process_time() - cpu_began_s) / answers * 1e6)


def compared(ours: list[Cost], floors: list[Cost]) -> str:
    """The figures, in two lines."""
    by_rate = [floor.per_s / mine.per_s for mine, floor in zip(ours, floors, strict=True)]
    by_cpu = [mine.cpu_us / floor.cpu_us for mine, floor in zip(ours, floors, strict=True)]
    lines = [f"{'':38}{'ours':>8}{'floor':>9}  ratio"]
    for name, field, ratios in (
        ("lists/s", "per_s", by_rate),
        ("processor's time of one, us", "cpu_us", by_cpu),
    ):
        mine, floor = (median(getattr(cost, field) for cost in costs) for costs in (ours, floors))
        lines.append(
            f"  {name:36}{mine:8,.0f}{floor:9,.0f}{median(ratios):7.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure both in turns and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    write_logs(verbose=False)
    ours: list[Cost] = []
    floors: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, served(api(Path(name))) as url:
        token = log_in(url)
        page = httpx.get(
            f"{url}/v1.0/{PROJECT}/instances", headers={"X-Auth-Token": token}
        ).raise_for_status()
        assert len(page.json()["instances"]) == INSTANCES
        with served(floor(page.content)) as floor_url:
            for _ in range(options.rounds):
                ours.append(cost(url, token, options.seconds))
                floors.append(cost(floor_url, token, options.seconds))
    print(
        f"authenticated list of {INSTANCES} instances, {len(page.content):,} bytes, {CONNECTIONS} connections"
    )
    print(compared(ours, floors))


if __name__ == "__main__":
    main()
