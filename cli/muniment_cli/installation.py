"""An installation's files, opened: what roles and operators' commands work on. Each part is opened when it is first used."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING

from muniment.clock import SystemClock
from muniment.cloud.local.backups_mark import BackupsMark
from muniment.cloud.local.cloud import LocalCloud
from muniment.cloud.local.objects import FileObjectStore
from muniment.contract.registry import Registry
from muniment.fault import Fault
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PROJECT_KEY, PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.sqlite import SQLiteRecorder, open_sqlite
from muniment_api.auth.users import UsersFile
from muniment_cli.data_directory import DataDirectory, find_data
from muniment_cli.failure import BadInput
from muniment_cli.settings import agent_python, load_settings

if TYPE_CHECKING:
    from muniment_projections.read_model import ReadModel

__all__ = ["Installation", "opened"]


class Installation:
    """Opens what is asked for; a part that is missing or damaged raises Fault when it is first used."""

    def __init__(self, data: DataDirectory, environment: Mapping[str, str] = environ) -> None:
        """Read the settings of a complete data directory."""
        self.data = data
        self.settings = load_settings(data.settings_file, environment)
        self.clock = SystemClock()

    @cached_property
    def vault(self) -> Vault:
        """What the key file opens."""
        return Vault(KeyEncryptionKeys.read(self.data.key_file))

    def check_key(self) -> None:
        """See that the key file is the one that the ledger was written under, by opening the key of a project.

        Raises:
            Fault: it is another installation's; or either file cannot be read.
        """
        with self.ledger.reading() as reader:
            row = reader.any_key(PROJECT_KEY)
        if row is None:
            return  # nothing was sealed yet
        try:
            self.vault.unwrap(row.purpose, row.owner, row.epoch, row.wrapped)
        except Fault as fault:
            raise Fault(
                "secrets",
                f"{self.data.key_file} is not the key of {self.data.ledger_file}: put the right one back from your copy; "
                "nothing was changed",
                retryable=False,
            ) from fault

    @cached_property
    def cipher(self) -> PersonalCipher:
        """What seals and opens personal fields."""
        return PersonalCipher(self.vault)

    @cached_property
    def ledger(self) -> Ledger:
        """Events and state tables."""
        return Ledger(self.recorder, clock=self.clock, cipher=self.cipher)

    @cached_property
    def recorder(self) -> SQLiteRecorder:
        """The database below the ledger, which needs no key."""
        try:
            return open_sqlite(self.data.ledger_file)
        except Fault as fault:
            raise Fault(
                "store", f"{self.data.ledger_file}: {fault.message}", retryable=fault.retryable
            ) from fault

    @cached_property
    def read_model(self) -> "ReadModel":
        """The read models, to read. Where no control plane runs that would do it, they are brought up to date first.

        Raises:
            BadInput: they are another release's, which nobody but the control plane or `muniment rebuild` replaces.
            Fault: they cannot be opened, or the control plane is building them anew.
        """
        # Their library takes longer to import than all the rest; verify, down and drivers do without.
        from muniment_projections.projector import Overtaken, Projector  # noqa: PLC0415
        from muniment_projections.read_model import ReadModelMissing  # noqa: PLC0415

        if self.data.holder() is not None:
            return self._existing_read_model()
        try:
            read_model = self._existing_read_model()
        except ReadModelMissing:
            read_model = self._opened_read_model()
        # Overtaken: by a control plane that starts, or by another reader; they go on where this one leaves off.
        with suppress(Overtaken):
            Projector(self.ledger.log, read_model).catch_up()
        return read_model

    def keep_read_model(self) -> "ReadModel":
        """The read models, for the one who keeps them up to date and holds the lock; made when they are not there."""
        self.read_model = self._opened_read_model()
        return self.read_model

    def _opened_read_model(self) -> "ReadModel":
        from muniment_projections.catalogue import CATALOGUE  # noqa: PLC0415
        from muniment_projections.read_model import ReadModel  # noqa: PLC0415

        return ReadModel.open(self.data.read_models_file, CATALOGUE)

    def _existing_read_model(self) -> "ReadModel":
        from muniment_projections.catalogue import CATALOGUE  # noqa: PLC0415
        from muniment_projections.read_model import ReadModel, ReadModelOfAnotherRelease  # noqa: PLC0415

        try:
            return ReadModel.existing(self.data.read_models_file, CATALOGUE)
        except ReadModelOfAnotherRelease as other:
            if self.data.holder() is None:
                advice = "start this release with `muniment up`, or run its `muniment rebuild`, which makes them anew"
            else:
                advice = (
                    "ask with the program that runs there, or stop it with `muniment down` and start this one"
                )
            raise BadInput(f"{other.message}; {advice}; nothing was changed") from other

    @cached_property
    def users(self) -> UsersFile:
        """The accounts."""
        return UsersFile(self.data.users_file)

    @cached_property
    def drivers(self) -> Registry:
        """The drivers that are installed beside this program."""
        return Registry.load()

    @cached_property
    def cloud(self) -> LocalCloud:
        """This machine as a cloud."""
        python = agent_python(self.settings)
        return LocalCloud(self.data.layout(), self.settings.local, self.clock, agent_python=python)

    @cached_property
    def objects(self) -> FileObjectStore:
        """Where backups lie; it may be away, and come back."""
        return FileObjectStore(self.backups_directory, self.backups_mark)

    @property
    def backups_directory(self) -> Path:
        """The directory of the backups; made when it is the data directory's own."""
        if self.backups_mark is not None:
            return self.backups_mark.folder
        self.data.own_backups.mkdir(mode=0o700, exist_ok=True)
        return self.data.own_backups

    @cached_property
    def backups_mark(self) -> BackupsMark | None:
        """The mark of a directory that was chosen for the backups; the data directory's own has none."""
        chosen = self.settings.backups.directory
        return None if chosen is None else BackupsMark(Path(chosen), self.data.root)

    def check_backups(self) -> None:
        """See that the directory of the backups is there, and is the one of before.

        Raises:
            BadInput: it is not.
        """
        try:
            if self.backups_mark is not None:
                self.backups_mark.check()
        except Fault as fault:
            raise BadInput(fault.message) from fault

    def close(self) -> None:
        """Give the databases back."""
        if "read_model" in self.__dict__:
            self.read_model.close()
        if "recorder" in self.__dict__:
            self.recorder.close()


@contextmanager
def opened(named: Path | None) -> Iterator[Installation]:
    """The installation that an operator's command works on."""
    installation = Installation(find_data(named))
    try:
        yield installation
    finally:
        installation.close()
