"""The composition root: every role but the agent, put together in one process on SQLite and the local cloud."""

import os
import sys
from pathlib import Path

from muniment.clock import SystemClock
from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.objects import FileObjectStore
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.sqlite import open_sqlite
from muniment_api.app import create_app
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.auth.users import UsersFile
from muniment_api.gateway import Gateway
from muniment_api.services import Services
from muniment_cli.data_directory import DataDirectory
from muniment_cli.roles.loop import Loop
from muniment_cli.settings import Settings

__all__ = ["ControlPlane"]

_TEND_S = 0.5


class ControlPlane:
    """Builds every part from the data directory and the settings; `start` sets the loops going."""

    def __init__(self, data: DataDirectory, settings: Settings) -> None:
        """Open everything; nothing runs yet.

        Raises:
            Fault: a file is missing, open to others, damaged, or of another version.
        """
        clock = SystemClock()
        self.vault = Vault(KeyEncryptionKeys.read(data.key_file))
        users = UsersFile(data.users_file)
        self.recorder = open_sqlite(data.ledger_file)
        self.ledger = Ledger(self.recorder, clock=clock, cipher=PersonalCipher(self.vault))
        self.cloud = LocalCloud(data.layout(), settings.local, clock, agent_python=agent_python(settings))
        self.objects = FileObjectStore(backups_of(data, settings))
        self.gateway = Gateway(GatewayTables(self.ledger, clock))
        identity = EmbeddedIdentity(users, clock)
        self.api = create_app(
            identity=identity,
            services=Services(),
            settings=settings.api,
            checks={},
            identity_app=keystone_app(identity, settings.api),
        )
        self.loops = [Loop("cloud", self.recorder.wakeup, self._tend)]

    def start(self) -> None:
        """Set every loop going."""
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """End every loop after the step it is in, and give the databases back."""
        self.gateway.close()
        for loop in self.loops:
            loop.stop()
        for loop in self.loops:
            loop.join()
        self.ledger.close()

    def remarks(self) -> list[str]:
        """What an operator should know about this machine, each a sentence."""
        found = []
        if os.geteuid() != 0:
            found.append(
                "not root: all engines run as this user, so tenants are not isolated from each other"
            )
        if why := self.cloud.volumes.why_no_images():
            found.append(f"the size of volumes is not enforced: {why}")
        return found

    def _tend(self) -> float:
        self.cloud.tend()
        return _TEND_S


def agent_python(settings: Settings) -> Path:
    """The interpreter of the agents' environment: as the settings say, else the one that was made beside our own."""
    if settings.agent.python is not None:
        return Path(settings.agent.python)
    return Path(sys.prefix).parent / ".venv-guest" / "bin" / "python"


def backups_of(data: DataDirectory, settings: Settings) -> Path:
    """Where backups lie; made when it is the data directory's own."""
    if settings.backups.directory is not None:
        return Path(settings.backups.directory)
    data.own_backups.mkdir(mode=0o700, exist_ok=True)
    return data.own_backups
