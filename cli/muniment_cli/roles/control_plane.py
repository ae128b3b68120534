"""The composition root: every role but the agent, put together in one process."""

import os
import socket
from collections.abc import Callable
from uuid import uuid4

from starlette.applications import Starlette

from muniment.clock import seconds
from muniment.dispatch.conductor import Conductor
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.liveness import Liveness
from muniment.dispatch.mail import TableMail
from muniment.dispatch.relay import Relay
from muniment.domain.datastore import SYSTEM_PROJECT
from muniment.domain.event import About
from muniment.fault import Fault
from muniment.operations.catalogue import CATALOGUE
from muniment.operations.performing import Performer
from muniment.operations.scene import Knowledge
from muniment.operations.taskmanager import TaskManager
from muniment.operations.timing import ONE_MACHINE
from muniment.operations.worker import Worker
from muniment.store.writes import EndLeases, Prune
from muniment_api.app import create_app
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.gateway.app import Gateway
from muniment_api.services import Services
from muniment_cli.installation import Installation
from muniment_cli.roles.datastores import register_datastores
from muniment_cli.roles.loop import Loop
from muniment_projections.keeper import Keeper
from muniment_projections.waiting import Arrivals

__all__ = ["ControlPlane"]

_TASKMANAGERS = 2
"""So that one call to the cloud that takes its time does not hold up the operations of others."""
_TEND_S = 0.5
_LOOK_S = 1.0
"""How long a role sleeps when nothing wakes it; a commit of this process does."""
_LIVENESS_S = 5.0
_UPKEEP_S = 60.0
_BATCHES_S = 86_400.0
"""How long the ids of saves are kept; far longer than any save is tried."""


class ControlPlane:
    """Builds every part on an installation; `start` sets the loops going, `stop` ends them."""

    def __init__(self, installation: Installation) -> None:
        """Open everything; nothing runs yet.

        Raises:
            Fault: a file is missing, open to others, damaged, or of another version.
        """
        self._installation = installation
        ledger, vault, clock = installation.ledger, installation.vault, installation.clock
        self.gateway = Gateway(GatewayTables(ledger, clock), installation.settings.gateway)
        mail = TableMail(ledger, on_posted=self.gateway.ring)
        read_model = installation.keep_read_model()
        arrivals = Arrivals(read_model)
        self._keeper = Keeper(ledger.log, read_model, arrivals)
        self._relay = Relay(ledger, vault, mail, clock)
        self._conductor = Conductor(ledger, vault, mail, clock)
        self._liveness = Liveness(ledger, clock)
        self._taskmanager = self._made_taskmanager()
        self.loops = [
            self._loop("projector", self._project),
            self._loop("relay", lambda: _until_idle(self._relay.run_once)),
            self._loop("conductor", lambda: _until_idle(self._conductor.run_once)),
            *(self._loop(f"taskmanager-{n}", self._drive) for n in range(1, _TASKMANAGERS + 1)),
            self._loop("liveness", self._watch_guests, is_woken=False),
            self._loop("cloud", self._tend, is_woken=False),
            self._loop("upkeep", self._tidy_up, is_woken=False),
        ]
        self.api = self._made_api(arrivals)

    def start(self) -> None:
        """Register what the drivers bring, free what a killed process held, bring the read models up to date, and set every
        loop going.

        The caller holds the lock of the data directory: nobody else drives operations here.
        """
        ledger = self._installation.ledger
        installation = self._installation
        register_datastores(ledger, installation.drivers, installation.cloud, installation.settings.local)
        ledger.save([], About(project_id=SYSTEM_PROJECT, actor="up"), writes=[EndLeases()])
        self._keeper.catch_up()  # so that the first reader after a crash sees what the log says
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """End every loop after the step it is in."""
        self.gateway.close()
        for loop in self.loops:
            loop.stop()
        for loop in self.loops:
            loop.join()

    def remarks(self) -> list[str]:
        """What an operator should know about this machine, each a sentence."""
        found = []
        if os.geteuid() != 0:
            found.append(
                "not root: all engines run as this user, so tenants are not isolated from each other"
            )
        try:
            if why := self._installation.cloud.volumes.why_no_images():
                found.append(f"the size of volumes is not enforced: {why}")
        except Fault as fault:
            found.append(f"no volume can be made now: {fault.message}")
        cloud = self._installation.cloud
        if cloud.runtime == "docker" and (why := cloud.containers.why_none()):
            found.append(f"no database can be made now: {why}")
        for rejected in self._installation.drivers.rejected:
            found.append(
                f"the driver {rejected.driver or rejected.package} is refused: {rejected.reasons[0]}"
            )
        return found

    def _knowledge(self) -> Knowledge:
        installation = self._installation
        return Knowledge(
            control=installation.drivers.control, objects=installation.objects, timing=ONE_MACHINE
        )

    def _made_taskmanager(self) -> TaskManager:
        installation = self._installation
        clock = installation.clock
        worker = Worker(
            installation.ledger,
            catalogue=CATALOGUE,
            knowledge=self._knowledge(),
            performer=Performer(installation.cloud, installation.objects, now_s=lambda: seconds(clock.now())),
            guest_keys=GuestKeys(installation.vault),
            clock=clock,
            new_id=uuid4,
        )
        owner = f"{socket.gethostname()}:{os.getpid()}"
        return TaskManager(installation.ledger, worker, clock, owner=owner, lease_s=ONE_MACHINE.lease_s)

    def _made_api(self, arrivals: Arrivals) -> Starlette:
        installation = self._installation
        settings = installation.settings
        identity = EmbeddedIdentity(installation.users, installation.clock)
        services = Services(
            ledger=installation.ledger,
            read_model=installation.read_model,
            arrivals=arrivals,
            clock=installation.clock,
            vault=installation.vault,
            cipher=installation.cipher,
            knowledge=self._knowledge(),
            controls={
                s.name: installation.drivers.control(s.name) for s in installation.drivers.datastores()
            },
            flavors=installation.cloud.flavors(),
            networks=installation.cloud.networks(),
            capabilities=installation.cloud.capabilities,
            allows_superuser=os.geteuid() == 0 or settings.local.allow_shared_superuser,
        )
        return create_app(
            identity=identity,
            services=services,
            settings=settings.api,
            checks={loop.name: _check(loop) for loop in self.loops},
            identity_app=keystone_app(identity, settings.api),
        )

    def _loop(self, name: str, step: Callable[[], float], *, is_woken: bool = True) -> Loop:
        return Loop(name, self._installation.recorder.wakeup, step, is_woken=is_woken)

    def _project(self) -> float:
        return 0.0 if self._keeper.run_once() else _LOOK_S

    def _drive(self) -> float:
        due_s = self._taskmanager.run_once()
        return max(0.0, min(_LOOK_S, due_s - seconds(self._installation.clock.now())))

    def _watch_guests(self) -> float:
        self._liveness.run_once()
        return _LIVENESS_S

    def _tidy_up(self) -> float:
        before_s = seconds(self._installation.clock.now()) - _BATCHES_S
        about = About(project_id=SYSTEM_PROJECT, actor="up")
        self._installation.ledger.save([], about, writes=[Prune(batches_before_s=before_s)])
        return _UPKEEP_S

    def _tend(self) -> float:
        self._installation.cloud.tend()
        return _TEND_S


def _until_idle(run_once: Callable[[], int]) -> float:
    return 0.0 if run_once() else _LOOK_S


def _check(loop: Loop) -> Callable[[], None]:
    def check() -> None:
        if loop.failure:
            raise Fault(loop.name, loop.failure)
        if not loop.is_running:
            raise Fault(loop.name, "it does not run")

    return check
