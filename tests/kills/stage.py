"""The stage on which operations are killed: one `muniment up` with a database that has data, and a backup of it."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
from tests.kills.ledger_watch import LedgerWatch
from tests.kills.processes import Existing, existing
from tests.support.machine import Machine

__all__ = ["PASSWORD", "Stage", "eventually"]

PASSWORD = "a password of the stage"
_END_S = 120.0
_POLL_S = 0.02
_ROWS = 1000


class Stage:
    """A machine with a standing instance `base`; what scenarios make beside it they remove again."""

    def __init__(self, machine: Machine) -> None:
        """Start the control plane; the standing instance is made by `furnish`."""
        self.machine = machine
        self.start()
        self.watch = LedgerWatch(machine.data / "ledger.db")
        self._session = machine.rest()
        self.rest = self._session.__enter__()
        self.base = ""
        self.backup = ""

    def furnish(self) -> None:
        """Make the standing instance, its table and its backup."""
        self.do("POST", "/instances", {"instance": self.instance_body("base")})
        self.base = self.instance_named("base")["id"]
        with self.connect(self.base) as connection:
            connection.execute(f"CREATE TABLE kept AS SELECT generate_series(1, {_ROWS}) AS n")
        self.do("POST", "/backups", {"backup": {"name": "standing", "instance": self.base}})
        self.backup = self.backup_named("standing")["id"]

    def start(self) -> None:
        """`muniment up`, until it is ready."""
        # Where we are not root, tenants' superusers are off unless the settings say so.
        self.machine.up("--api", "127.0.0.1:0", MUNIMENT_LOCAL_ALLOW_SHARED_SUPERUSER="true")

    def close(self) -> None:
        """Let go of the API; the machine is its owner's."""
        self._session.__exit__(None, None, None)

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A request that must be accepted."""
        answer = self.rest.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def do(self, method: str, path: str, body: Any = None) -> None:
        """A request, and whatever it starts, to its end; asked again while the guest has no time."""
        position = self.watch.head()
        eventually(lambda: self._accepted(method, path, body), f"{method} {path} is accepted")
        eventually(lambda: not self.watch.running(), "every operation ends", _END_S)
        failed = self.watch.failures(position)
        assert not failed, f"{method} {path}: {failed}"
        self.wait_quiet()

    def _accepted(self, method: str, path: str, body: Any) -> bool:
        answer = self.rest.request(method, path, json=body)
        assert answer.is_success or answer.status_code == 503, f"{method} {path}: {answer.text}"
        return answer.is_success

    def wait_quiet(self) -> None:
        """Wait until no operation runs, nothing waits in the state tables, and readers see it all."""
        eventually(lambda: not self.watch.running(), "every operation ends", _END_S)
        read_models = self.machine.data / "read.db"
        eventually(lambda: self.watch.is_shown(read_models), "the read models come as far as the log")
        eventually(lambda: not self.watch.unfinished(), lambda: f"left over: {self.watch.unfinished()}")

    # -- looking -------------------------------------------------------------------------------------------------------

    def instance_named(self, name: str) -> dict[str, Any]:
        """An instance in full."""
        found = next(one for one in self.ask("GET", "/instances").json()["instances"] if one["name"] == name)
        return self.instance(found["id"])

    def instance(self, instance_id: str) -> dict[str, Any]:
        """An instance in full."""
        found: dict[str, Any] = self.ask("GET", f"/instances/{instance_id}").json()["instance"]
        return found

    def operation(self, operation_id: str) -> dict[str, Any]:
        """An operation, as its owner sees it."""
        found: dict[str, Any] = self.ask("GET", f"/operations/{operation_id}").json()["operation"]
        return found

    def backup_named(self, name: str) -> dict[str, Any]:
        """A backup."""
        backups: list[dict[str, Any]] = self.ask("GET", "/backups").json()["backups"]
        return next(one for one in backups if one["name"] == name)

    def has(self, path: str) -> bool:
        """Whether there is such a resource."""
        return self.rest.get(path).is_success

    def existing(self, instance_id: str) -> Existing:
        """How much there is of an instance on this machine."""
        return existing(self.machine.data / "cloud", instance_id)

    def databases(self, instance_id: str) -> list[str]:
        """Names of its databases, as its engine says."""
        found = self._asked(f"/instances/{instance_id}/databases")
        return [one["name"] for one in found["databases"]]

    def users(self, instance_id: str) -> dict[str, list[str]]:
        """Its accounts and the databases that each may use, as its engine says."""
        found = self._asked(f"/instances/{instance_id}/users")
        return {user["name"]: [one["name"] for one in user["databases"]] for user in found["users"]}

    def _asked(self, path: str) -> Any:
        """A question that goes to the guest, which may be away for a moment."""
        answers: list[httpx.Response] = []

        def answered() -> bool:
            answers.append(self.rest.get(path))
            return answers[-1].status_code != 503

        eventually(answered, f"the guest answers {path}")
        assert answers[-1].is_success, answers[-1].text
        return answers[-1].json()

    def connect(
        self, instance_id: str, user: str = "app", password: str = PASSWORD, database: str = "shop"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """A tenant's connection."""
        endpoint = self.instance(instance_id)["endpoints"][0]
        return psycopg.connect(
            host=endpoint["host"], port=endpoint["port"], dbname=database, user=user, password=password,
            autocommit=True, connect_timeout=10,
        )  # fmt: skip

    def can_log_in(self, instance_id: str, user: str, password: str, database: str = "shop") -> bool:
        """Whether that password opens that database."""
        try:
            with self.connect(instance_id, user, password, database) as connection:
                return connection.execute("SELECT session_user").fetchone() == (user,)
        except psycopg.OperationalError:
            return False

    def kept_rows(self, instance_id: str) -> int:
        """Rows of the table that the stage put into `base`; all of them, each once."""
        with self.connect(instance_id) as connection:
            row = connection.execute("SELECT count(DISTINCT n), count(*) FROM kept").fetchone()
        assert row == (_ROWS, _ROWS), row
        return _ROWS

    def instance_body(self, name: str) -> dict[str, Any]:
        """An instance with databases and users."""
        return {
            "name": name,
            "flavorRef": "1",
            "volume": {"size": 1},
            "databases": [{"name": "shop"}, {"name": "stock"}],
            "users": [
                {"name": "app", "password": PASSWORD, "databases": [{"name": "shop"}]},
                {"name": "clerk", "password": PASSWORD},
            ],
        }


def eventually(
    holds: Callable[[], bool], what: str | Callable[[], str], limit_s: float = 60.0, pause_s: float = _POLL_S
) -> None:
    """Wait until it holds; an assertion says what did not."""
    ends = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < ends, f"not in {limit_s:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(pause_s)
