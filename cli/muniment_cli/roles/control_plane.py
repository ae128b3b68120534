"""The composition root: every role but the agent, put together in one process."""

import os
import time
from collections.abc import Callable

from muniment.dispatch.conductor import Conductor
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.dispatch.liveness import Liveness
from muniment.dispatch.mail import TableMail
from muniment.dispatch.relay import Relay
from muniment.domain.guest import SILENT_S
from muniment.fault import Fault
from muniment_api.app import create_app
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.gateway import Gateway
from muniment_api.services import Services
from muniment_cli.installation import Installation
from muniment_cli.roles.loop import Loop
from muniment_projections.projector import Projector
from muniment_projections.waiting import Arrivals

__all__ = ["ControlPlane"]

_TEND_S = 0.5
_LOOK_S = 1.0
"""How long a role sleeps when nothing wakes it; a commit of this process does."""
_LIVENESS_S = 5.0


class ControlPlane:
    """Builds every part on an installation; `start` sets the loops going, `stop` ends them."""

    def __init__(self, installation: Installation) -> None:
        """Open everything; nothing runs yet.

        Raises:
            Fault: a file is missing, open to others, damaged, or of another version.
        """
        self._installation = installation
        ledger, vault, clock = installation.ledger, installation.vault, installation.clock
        self.gateway = Gateway(GatewayTables(ledger, clock))
        mail = TableMail(ledger, on_posted=self.gateway.ring)
        arrivals = Arrivals(installation.read_model)
        self._projector = Projector(ledger.log, installation.read_model, arrivals=arrivals)
        self._relay = Relay(ledger, vault, mail, clock)
        self._conductor = Conductor(ledger, vault, mail, clock)
        self._liveness = Liveness(ledger, clock)
        self.loops = [
            self._loop("projector", self._project),
            self._loop("relay", lambda: _until_idle(self._relay.run_once)),
            self._loop("conductor", lambda: _until_idle(self._conductor.run_once)),
            self._loop("liveness", self._watch_guests),
            self._loop("cloud", self._tend),
        ]
        identity = EmbeddedIdentity(installation.users, clock)
        self.api = create_app(
            identity=identity,
            services=Services(
                ledger=ledger,
                read_model=installation.read_model,
                arrivals=arrivals,
                flavors=installation.cloud.flavors(),
            ),
            settings=installation.settings.api,
            checks={loop.name: _check(loop) for loop in self.loops},
            identity_app=keystone_app(identity, installation.settings.api),
        )
        self._started_s = time.monotonic()

    def start(self) -> None:
        """Set every loop going."""
        self._started_s = time.monotonic()
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
        if why := self._installation.cloud.volumes.why_no_images():
            found.append(f"the size of volumes is not enforced: {why}")
        return found

    def _loop(self, name: str, step: Callable[[], float]) -> Loop:
        return Loop(name, self._installation.recorder.wakeup, step)

    def _project(self) -> float:
        return 0.0 if self._projector.run_once() else _LOOK_S

    def _watch_guests(self) -> float:
        # Nobody could be heard while we did not run: silence counts from our start.
        if time.monotonic() - self._started_s > SILENT_S:
            self._liveness.run_once()
        return _LIVENESS_S

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
