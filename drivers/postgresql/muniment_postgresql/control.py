"""The control half: names, configuration and versions, known without a server."""

from muniment.contract.control import ControlDriver
from muniment.contract.errors import RejectedName
from muniment.contract.manifest import Manifest
from muniment.contract.ops import Account, DatabaseSpec
from muniment.secret import Secret
from muniment_postgresql import configuration, names
from muniment_postgresql.locales import locale_of
from muniment_postgresql.manifest import MANIFEST

__all__ = ["PostgresqlControl"]


class PostgresqlControl(ControlDriver):
    """Answers for PostgreSQL what needs no server."""

    @property
    def manifest(self) -> Manifest:
        """The driver's manifest."""
        return MANIFEST

    def port(self) -> int:
        """5432."""
        return 5432

    def check_database(self, database: DatabaseSpec) -> None:
        """Names: 1 to 63 bytes, printable, no `/`, no blank at an end; locales: those built into the server."""
        names.check_new_database(database.name)
        locale_of(database)

    def check_account(self, account: Account) -> Account:
        """Names as for databases and no `@`; a host of `%` is none, any other is refused."""
        return names.check_new_account(account)

    def check_password(self, password: Secret) -> None:
        """1 to 512 printable characters."""
        try:
            text = password.reveal_text()
        except UnicodeDecodeError:
            raise RejectedName("password", "the password is not text") from None
        names.check_password(text)

    def base_config(self, *, version: str, memory_mib: int) -> dict[str, str]:
        """One file; the version makes no difference yet."""
        return {configuration.MAIN_FILE: configuration.render(memory_mib=memory_mib)}

    def backup_fits(self, *, backup_version: str, target_version: str) -> bool:
        """Minor releases of one major version share the data format."""
        return names.major(backup_version) == names.major(target_version)
