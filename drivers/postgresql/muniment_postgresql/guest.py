"""The guest half: each op in the module of its noun."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO

from muniment.contract.errors import Code, OpFailed, RejectedName
from muniment.contract.guest import BackupSource, GuestDriver, Job
from muniment.contract.messages import Health
from muniment.contract.ops import (
    Account,
    Accounts,
    AlterUser,
    Bootstrap,
    Databases,
    DatabaseSpec,
    Install,
    Installed,
    Page,
    SuperuserState,
    UserSpec,
    UserView,
)
from muniment.secret import Secret
from muniment_postgresql import accounts, backup, databases, health, programs, restore, server, superuser
from muniment_postgresql.bootstrap import bring_up

__all__ = ["PostgresqlGuest"]

_START_LIMIT_S = 50  # below the 60 s of an act


class PostgresqlGuest(GuestDriver):
    """Operates one PostgreSQL server."""

    def install(self, install: Install, job: Job) -> Installed:
        """Find, copy or pull the programs and check their version."""
        job.progress("find programs")
        return programs.install(self.host, install, job)

    def bootstrap(self, bootstrap: Bootstrap, job: Job) -> Health:
        """See `bootstrap.py`."""
        return bring_up(self.host, bootstrap, job)

    def start(self) -> Health:
        """Start it and wait for SQL, at most 50 s."""
        return server.start(self.host, programs.find(self.host), limit_s=_START_LIMIT_S)

    def stop(self, grace_s: float) -> Health:
        """Fast shutdown: transactions are rolled back, everything is flushed."""
        return server.stop(self.host, grace_s)

    def probe(self) -> Health:
        """By a query."""
        return health.probe(self.host)

    def list_databases(self, page: Page) -> Databases:
        """Without the engine's own."""
        return databases.list_databases(self.host, page)

    def create_database(self, database: DatabaseSpec) -> None:
        """Closed to accounts without a grant."""
        with _names_checked():
            databases.create_database(self.host, database)

    def drop_database(self, name: str) -> None:
        """With its group, sessions ended."""
        databases.drop_database(self.host, name)

    def list_users(self, page: Page) -> Accounts:
        """Roles that can log in, without the engine's own and the superuser."""
        return accounts.list_users(self.host, page)

    def get_user(self, account: Account) -> UserView:
        """One of them."""
        with _names_checked():
            return accounts.get_user(self.host, account)

    def create_user(self, user: UserSpec, password: Secret) -> None:
        """An account and its grants in one transaction."""
        with _names_checked():
            accounts.create_user(self.host, user, password)

    def alter_user(self, change: AlterUser, password: Secret | None) -> None:
        """Name and password in one transaction."""
        with _names_checked():
            accounts.alter_user(self.host, change, password)

    def drop_user(self, account: Account) -> None:
        """What it owns stays with its databases."""
        with _names_checked():
            accounts.drop_user(self.host, account)

    def grant(self, account: Account, databases: Sequence[str]) -> None:
        """The access of an owner, see `ownership.py`."""
        with _names_checked():
            accounts.grant(self.host, account, databases)

    def revoke(self, account: Account, database: str) -> None:
        """Sessions there are ended."""
        with _names_checked():
            accounts.revoke(self.host, account, database)

    def enable_superuser(self, password: Secret) -> SuperuserState:
        """The role `root`."""
        return superuser.enable_superuser(self.host, password)

    def disable_superuser(self) -> SuperuserState:
        """Locked, its sessions ended."""
        return superuser.disable_superuser(self.host)

    def superuser_status(self) -> SuperuserState:
        """Whether `root` can log in."""
        return superuser.superuser_status(self.host)

    def open_backup(self, method: str) -> AbstractContextManager[BackupSource]:
        """pg_basebackup."""
        return backup.open_backup(self.host, method)

    def restore(self, stream: IO[bytes], *, server_version: str, facts: dict[str, str]) -> None:
        """Unpack and verify."""
        restore.restore(self.host, stream, server_version=server_version, facts=facts)

    def wipe(self) -> None:
        """Empty the data directory."""
        restore.wipe(self.host)


@contextmanager
def _names_checked() -> Iterator[None]:
    """The control half checked before; who calls past it gets the same refusal."""
    try:
        yield
    except RejectedName as error:
        raise OpFailed(Code.INVALID_ARGUMENT, error.message) from None
