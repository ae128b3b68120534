"""The control half of a driver: pure, no effects, runs in the control plane, imports no client of an engine."""

from abc import ABC, abstractmethod

from muniment.contract.manifest import Manifest
from muniment.contract.ops import Account, DatabaseSpec
from muniment.secret import Secret

__all__ = ["ControlDriver"]


class ControlDriver(ABC):
    """Answers what can be known without touching a server: names, configuration, limits.

    Deterministic: the same arguments give the same answer, so that outputs may be recorded. One object serves all
    instances of the datastore. Names are checked before a request is answered (D-28): the check methods raise
    `RejectedName` with a message a user can act on.
    """

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """The manifest this half belongs to."""

    @abstractmethod
    def port(self) -> int:
        """The datastore's standard TCP port."""

    @abstractmethod
    def check_database(self, database: DatabaseSpec) -> None:
        """Refuse a name, character set or collation that the engine would refuse, and reserved names."""

    @abstractmethod
    def check_account(self, account: Account) -> Account:
        """Refuse a bad or reserved account; return it in normal form (a host of `%` is none where hosts mean nothing)."""

    @abstractmethod
    def check_password(self, password: Secret) -> None:
        """Refuse a password that the engine would refuse."""

    @abstractmethod
    def base_config(self, *, version: str, memory_mib: int) -> dict[str, str]:
        """Render the configuration: file name to text, for a server with that much memory."""

    def backup_fits(self, *, backup_version: str, target_version: str) -> bool:
        """Whether a backup of one server version can be restored by another; by default the same version only."""
        return backup_version == target_version
