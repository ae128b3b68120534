"""A whole API in this process: users, a ledger in memory, read models that follow it, and clients for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.support.accounts import CHEAP, OFFICE, RED, users_file
from tests.support.asgi import AsgiClient
from tests.support.ledgers import VAULT, ledger_on
from tests.support.rest_guests import RestGuests

from muniment.clock import Clock, ManualClock
from muniment.cloud.local.objects import FileObjectStore
from muniment.cloud.recipes import Flavor, Network
from muniment.contract.registry import Registry
from muniment.domain.datastore import (
    DATASTORE,
    SYSTEM_PROJECT,
    DatastoreVersion,
    datastore_id,
    register_version,
    version_id,
)
from muniment.domain.event import About
from muniment.operations.scene import Knowledge
from muniment.operations.timing import ONE_MACHINE
from muniment.secrets.personal import PersonalCipher
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment_api.app import create_app
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.auth.logins import Logins
from muniment_api.services import Services
from muniment_api.settings import ApiSettings
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.projector import Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.waiting import Arrivals

FLAVORS = (
    Flavor(id="1", name="d1.small", ram_mib=512, vcpus=1),
    Flavor(id="c7-large", name="d1.large", ram_mib=4096, vcpus=2, disk_gib=5),
)
NETWORK = Network(id="net-1", name="local", is_default=True)
DRIVERS = Registry.load()
_SETTLED_S = 20
HOME = {"alice": RED.id, "rita": RED.id, "root": OFFICE.id}


def _proof_of(user: str) -> dict[str, str]:
    return {"Authorization": httpx.BasicAuth(user, f"{user}-secret")._auth_header}


class RestWorld:
    """The application and what is behind it; requests go below the caller's own project unless they say otherwise."""

    def __init__(self, folder: Path, read_model: ReadModel, clock: Clock) -> None:
        self.clock = clock
        self.recorder = open_memory()
        self.ledger: Ledger = ledger_on(self.recorder, self.clock)
        self.arrivals = Arrivals(read_model)
        self.projector = Projector(self.ledger.log, read_model, arrivals=self.arrivals)
        objects = FileObjectStore(folder)
        knowledge = Knowledge(DRIVERS.control, objects, ONE_MACHINE)
        self.guests = (
            RestGuests(self.ledger, clock, knowledge, objects) if isinstance(clock, ManualClock) else None
        )
        self.services = Services(
            ledger=self.ledger,
            read_model=read_model,
            arrivals=self.arrivals,
            clock=self.clock,
            vault=VAULT,
            cipher=PersonalCipher(VAULT),
            knowledge=knowledge,
            controls={"postgresql": DRIVERS.control("postgresql")},
            flavors=FLAVORS,
            networks=[NETWORK],
            capabilities=frozenset(),
            allows_superuser=True,
        )
        users, settings = users_file(folder), ApiSettings()
        identity = EmbeddedIdentity(users, self.clock, logins=Logins(users, self.clock, cost=CHEAP))
        self.app = create_app(
            identity=identity,
            services=self.services,
            settings=settings,
            checks={},
            identity_app=keystone_app(identity, settings),
        )
        self.http = AsgiClient(self.app)
        self.working = threading.Lock()
        """Whoever holds it stops operations and guests."""
        self.projecting = threading.Lock()
        """Whoever holds it stops the projector."""

    def call(
        self, method: str, path: str, *, user: str = "alice", project: str | None = None, json: object = None
    ) -> httpx.Response:
        """A request with HTTP Basic."""
        url = f"/v1.0/{project or HOME[user]}{path}"
        return self.http.request(method, url, headers=_proof_of(user), json=json)

    def at_once(self, count: int, method: str, path: str, json: object) -> list[httpx.Response]:
        """Alice's same request, `count` times at the same moment."""
        return self.http.at_once(count, method, f"/v1.0/{RED.id}{path}", json, headers=_proof_of("alice"))

    def race(self, *paths: str) -> list[str]:
        """Alice reads all of these at once; the paths in the order of their answers."""
        below = f"/v1.0/{RED.id}"
        answered = self.http.race([below + path for path in paths], _proof_of("alice"))
        return [path.removeprefix(below) for path in answered]

    def race_of(self, *requests: tuple[str, str]) -> list[tuple[str, httpx.Response]]:
        """Several users read at once, each `(user, path)`; users and answers in the order of the answers."""
        by_url = {f"/v1.0/{HOME[user]}{path}": user for user, path in requests}
        answered = self.http.race_as([(url, _proof_of(user)) for url, user in by_url.items()])
        return [(by_url[url], answer) for url, answer in answered]

    def made(self, *, user: str = "alice", **more: object) -> str:
        """The id of an instance that was just asked for; `more` is said of it beside what every one needs."""
        wanted = {"name": "orders-db", "flavorRef": "1", "volume": {"size": 2}, **more}
        answer = self.call("POST", "/instances", user=user, json={"instance": wanted})
        assert answer.status_code == 200, answer.text
        instance_id: str = answer.json()["instance"]["id"]
        return instance_id

    def settle(self) -> None:
        """Wait until no operation runs any more and the read models tell so."""
        ends_s = time.monotonic() + _SETTLED_S
        while True:
            seen = self.recorder.wakeup.commits
            with self.ledger.reading() as reader:
                running = reader.queue()
            if not running:
                break
            assert time.monotonic() < ends_s, f"still running: {running}"
            self.recorder.wakeup.wait(seen, 0.1)
        assert self.arrivals.wait_for(self.ledger.log.head(), 10)

    def register(
        self,
        datastore: str,
        name: str,
        *,
        number: str,
        active: bool = True,
        default: bool = False,
        waits: bool = True,
    ) -> None:
        """Make a datastore version known; `waits` until the read models tell it."""
        version = DatastoreVersion(
            id=version_id(datastore, name),
            name=name,
            number=number,
            driver=datastore,
            driver_version="1",
            image=None,
            image_digest=None,
            active=active,
        )
        about = About(project_id=SYSTEM_PROJECT, actor="test")
        self.ledger.command(
            DATASTORE,
            datastore_id(datastore),
            lambda state: register_version(state, datastore, version, default=default),
            about,
        )
        assert not waits or self.arrivals.wait_for(self.ledger.log.head(), 10)


@contextmanager
def rest_world(folder: Path, clock: Clock | None = None, *, with_guests: bool = False) -> Iterator[RestWorld]:
    """An API whose projector runs beside it; its clock stands still unless another one is given.

    `with_guests` operations run to their end; without, they stay as they began. Real clients need the machine's clock: a
    token that ended long ago by theirs is renewed before every request.
    """
    read_model = ReadModel.open(folder / "read.db", CATALOGUE)
    world = RestWorld(folder, read_model, clock or ManualClock())
    ended = threading.Event()
    troubles: list[Exception] = []

    def project() -> None:
        while not ended.is_set():
            with world.projecting:
                shown = world.projector.run_once()
            if shown == 0:
                world.ledger.log.wait(world.projector.position, 0.05)

    def serve() -> None:
        assert world.guests is not None, "guests need a clock that can be moved"
        try:
            while not ended.is_set():
                seen = world.recorder.wakeup.commits
                with world.working:
                    worked = world.guests.run_once()
                if not worked:
                    world.recorder.wakeup.wait(seen, 0.05)
        except Exception as error:  # noqa: BLE001 - raised again where the test sees it
            troubles.append(error)

    threads = [threading.Thread(target=work) for work in ((project, serve) if with_guests else (project,))]
    for thread in threads:
        thread.start()
    try:
        with world.http:
            yield world
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
        world.ledger.close()
        read_model.close()
        if troubles:
            raise troubles[0]
