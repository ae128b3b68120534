"""An installation on a machine, looked at from outside: its unit, its control plane, its databases."""

import json
from dataclasses import dataclass

from tests.boot.image import CHECKOUT, USER
from tests.boot.machine import Machine, Said
from tests.boot.waiting import Broken

__all__ = ["DATA_OF_SYSTEM", "Database", "Installation"]

_PROGRAM = f"{CHECKOUT}/.venv/bin/muniment"
_NAME = "it's our; 100% data"
"""Characters that mean something to systemd or to a shell."""
DATA_OF_SYSTEM = f"/srv/{_NAME}"
_FILL = "create table deed as select n, md5(n::text) as seal from generate_series(1, 20000) n"
_DIGEST = "select count(*), md5(string_agg(seal, '' order by n)) from deed"
_ENDED = "database system was (shut down|interrupted|not properly shut down)"


@dataclass(frozen=True)
class Database:
    """An instance with rows in it."""

    id: str
    psql: str
    """The line that `instance create` prints, which reaches it."""
    password: str
    digest: str


class Installation:
    """Of the system or of an ordinary user; all it does is what that person would type."""

    def __init__(self, machine: Machine, *, user: str) -> None:
        """`user` is root or the ordinary user of the machine."""
        self.machine = machine
        self.user = user
        self.is_system = user == "root"
        self.data = DATA_OF_SYSTEM if self.is_system else f"/home/{USER}/{_NAME}"

    # what is typed

    def muniment(self, *words: str) -> Said:
        """An operator's command."""
        return self.machine.run(*self.command(*words), user=self.user)

    def command(self, *words: str) -> tuple[str, ...]:
        """The words of an operator's command."""
        data = () if words == ("service", "uninstall") else ("--data", self.data)
        return (_PROGRAM, *words, *data)

    def tenant(self, *words: str) -> Said:
        """A tenant's command, over the REST API."""
        variables = (f"OS_CLIENT_CONFIG_FILE={self.data}/clouds.yaml", "OS_CLOUD=muniment")
        return self.machine.run("env", *variables, _PROGRAM, *words, user=self.user)

    def systemctl(self, *words: str) -> Said:
        """systemctl, on the unit of ours."""
        return self.machine.run("systemctl", *(() if self.is_system else ("--user",)), *words, user=self.user)

    def done(self, said: Said) -> Said:
        """What was typed must have worked.

        Raises:
            Broken: it did not.
        """
        if said.code != 0:
            raise Broken(f"exit code {said.code}: {said.err or said.out}\n{self.journal()[-3000:]}")
        return said

    # what is seen

    def create(self, name: str) -> Database:
        """A database with rows."""
        words = ("instance", "create", name, "--database", "shop", "--user", "app", "--wait", "-o", "json")
        made = json.loads(self.done(self.tenant(*words)).out)
        psql = made["connect"]
        self.done(self.machine.shell(f'{psql} -qc "{_FILL}"'))
        digest = self.done(self.machine.shell(f'{psql} -Atc "{_DIGEST}"')).out
        return Database(made["id"], psql, made["password"], digest)

    def has_rows(self, database: Database) -> bool:
        """Whether it answers SQL with the rows that were put in."""
        return self.machine.shell(f'{database.psql} -Atc "{_DIGEST}"').out == database.digest

    def status_of(self, name: str) -> str:
        """The status of an instance as its tenant sees it; empty when there is no answer."""
        said = self.tenant("instance", "show", name, "-o", "json")
        return str(json.loads(said.out)["status"]) if said.code == 0 else ""

    def state(self) -> str:
        """What systemd says of the unit: active, inactive, failed, activating."""
        return self.systemctl("is-active", "muniment").out

    def property(self, name: str) -> str:
        """A property of the unit."""
        return self.done(self.systemctl("show", "--value", f"--property={name}", "muniment")).out

    def journal(self) -> str:
        """What the unit logged in this boot."""
        unit = "--unit=muniment" if self.is_system else "--user-unit=muniment"
        return self.machine.run(
            "journalctl", "--boot", "--output=cat", "--no-pager", unit, user=self.user
        ).out

    def databases(self) -> dict[int, str]:
        """Agents and engines that run."""
        found = self.machine.processes().items()
        return {
            pid: args for pid, args in found if "muniment_guest.main" in args or "bin/postgres -D" in args
        }

    def clients(self) -> list[str]:
        """Processes of an engine that serve an account's connection."""
        return [args for args in self.machine.processes().values() if args.startswith("postgres: app shop")]

    def starts_of_engine(self) -> list[str]:
        """What the engines said of the shutdown before, at every start of theirs."""
        servers = f"{self.data}/cloud/servers"
        return self.machine.run("grep", "-rhoE", "--include=engine.log", _ENDED, servers).out.splitlines()
