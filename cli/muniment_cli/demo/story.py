"""`make demo`: from nothing to a restored database, as a tenant through REST and as an operator through `muniment`."""

import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg

from muniment.fault import Fault
from muniment_cli.demo import flights
from muniment_cli.demo.operator import Operator
from muniment_cli.demo.progress import Progress
from muniment_cli.demo.proofs import prove_chain, prove_read_models
from muniment_cli.demo.tenant import Tenant
from muniment_cli.failure import FAILED, INTERRUPTED

__all__ = ["shortened", "tell"]

_DATABASE, _USER = "flights", "pilot"
_FIRST, _LAST = 6, 3
"""How much of a history is shown, so that the end of the demo stays in sight."""
_DELETED_CARRIER = "UA"


def tell(rows: int | None = None) -> int:
    """Play it; 0 when every proof held. `rows` limits the flights, for a short form."""
    home = Path(tempfile.mkdtemp(prefix="muniment-demo-"))
    home.chmod(0o711)  # as root, engines run as users of their own, who pass through it
    operator = Operator(home / "data", f"127.0.0.1:{_free_port()}")
    progress = Progress()
    try:
        figures = _Story(operator, progress, rows).play()
        with progress.step("remove everything"):
            operator.end()
    except (Fault, httpx.HTTPError, psycopg.Error) as trouble:
        progress.say(f"demo failed: {trouble}")
        progress.say(operator.log_tail())
        return FAILED
    except KeyboardInterrupt:
        progress.say("demo stopped; removing what it made")
        return INTERRUPTED
    finally:
        operator.give_up()
        shutil.rmtree(home, ignore_errors=True)
    progress.say(f"demo passed in {progress.elapsed_s:.1f} s: {figures}")
    return 0


class _Story:
    def __init__(self, operator: Operator, progress: Progress, rows: int | None) -> None:
        self._operator = operator
        self._progress = progress
        self._rows = rows
        self._password = secrets.token_urlsafe(18)
        self._expected = flights.Digest(0, 0, "")

    def play(self) -> str:
        with self._progress.step("start muniment up on an empty directory"):
            self._operator.start()
        self._tenant = Tenant(self._operator.clouds_yaml, "muniment")
        source = self._create("create an instance with a database and a user", "flights-2013")
        self._load(source)
        backup = self._back_up(source)
        deleted = self._delete_rows(source)
        copy = self._create(
            "create a second instance from the backup", "flights-again", backup_id=backup["id"]
        )
        self._prove_restored(copy)
        counts = [self._show_history(instance) for instance in (source, copy)]
        with self._progress.step("verify the chain of every stream") as step:
            chain = step.note = prove_chain(self._operator)
        with self._progress.step("rebuild the read models and compare") as step:
            equal = step.note = prove_read_models(self._operator)
        self._survive_a_kill(source)
        self._delete_everything((source, copy))
        self._tenant.close()
        size_mb = backup["size"] * 1000
        return (
            f"{self._expected.rows:,} flights loaded, {deleted:,} deleted and restored from a backup of {size_mb:.0f} MB, "
            f"{sum(counts)} events shown, {chain}, {equal}"
        )

    def _create(self, title: str, name: str, backup_id: str | None = None) -> Mapping[str, Any]:
        wanted: dict[str, Any] = {
            "name": name,
            "flavorRef": self._tenant.get("/flavors")["flavors"][0]["links"][0]["href"],
            "volume": {"size": 1},
            "datastore": {"type": "postgresql", "version": "18"},
        }
        if backup_id is None:
            wanted["databases"] = [{"name": _DATABASE}]
            wanted["users"] = [
                {"name": _USER, "password": self._password, "databases": [{"name": _DATABASE}]}
            ]
        else:
            wanted["restorePoint"] = {"backupRef": backup_id}
        with self._progress.step(title) as step:
            made = self._tenant.post("/instances", {"instance": wanted})["instance"]
            found = self._tenant.wait_for(name, f"/instances/{made['id']}", "instance", "ACTIVE", step.live)
            endpoint = found["endpoints"][0]
            step.note = f"PostgreSQL at {endpoint['host']}:{endpoint['port']}"
        return found

    def _load(self, instance: Mapping[str, Any]) -> None:
        with self._progress.step("load the flights of 2013") as step:
            self._expected = flights.digest_of_rows(flights.read_rows(self._rows))
            with self._tenant.connect(instance, _DATABASE, _USER, self._password) as connection:
                count = flights.load(connection, flights.read_rows(self._rows))
                found = flights.digest_of_table(connection)
            if found != self._expected:
                raise Fault("demo", f"the table has {found}, the file {self._expected}", retryable=False)
            step.note = f"{count:,} rows, {found.incomplete:,} with a missing value"

    def _back_up(self, instance: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._progress.step("take a backup") as step:
            body = {"backup": {"name": "before-the-mistake", "instance": instance["id"]}}
            made = self._tenant.post("/backups", body)["backup"]
            found = self._tenant.wait_for(
                "the backup", f"/backups/{made['id']}", "backup", "COMPLETED", step.live
            )
            step.note = f"{found['size'] * 1000:.0f} MB, compressed, encrypted, read back"
        return found

    def _delete_rows(self, instance: Mapping[str, Any]) -> int:
        with (
            self._progress.step("delete rows by mistake") as step,
            self._tenant.connect(instance, _DATABASE, _USER, self._password) as connection,
        ):
            cursor = connection.execute("DELETE FROM flights WHERE carrier = %s", (_DELETED_CARRIER,))
            count = cursor.rowcount
            if count <= 0 or flights.digest_of_table(connection).rows != self._expected.rows - count:
                raise Fault("demo", f"{count} rows were deleted", retryable=False)
            step.note = f"{count:,} rows of carrier {_DELETED_CARRIER} are gone"
        return count

    def _prove_restored(self, instance: Mapping[str, Any]) -> None:
        with (
            self._progress.step("prove that every row is back") as step,
            self._tenant.connect(instance, _DATABASE, _USER, self._password) as connection,
        ):
            found = flights.digest_of_table(connection)
            if found != self._expected:
                raise Fault("demo", f"restored {found}, expected {self._expected}", retryable=False)
            step.note = "same rows, same digest, same password"
        self._progress.say(f"       restored: {found.rows:,} rows, sha256 {found.sha256}")

    def _show_history(self, instance: Mapping[str, Any]) -> int:
        with self._progress.step(f"show the history of {instance['name']}") as step:
            lines = self._operator.run("events", "--instance", instance["id"]).splitlines()
            step.note = f"{len(lines)} lines"
        for line in shortened(lines):
            self._progress.say(f"       {line}")
        return len(self._tenant.get("/events", instance_id=instance["id"])["events"])

    def _survive_a_kill(self, instance: Mapping[str, Any]) -> None:
        with self._progress.step("kill -9 muniment up in a second backup") as step:
            body = {"backup": {"name": "interrupted", "instance": instance["id"]}}
            made = self._tenant.post("/backups", body)["backup"]
            while "upload" not in (doing := self._tenant.current_step("backup", made["id"])):
                step.live(doing)
                if self._tenant.get(f"/backups/{made['id']}")["backup"]["status"] not in ("NEW", "BUILDING"):
                    raise Fault(
                        "demo", "the second backup ended before it could be interrupted", retryable=False
                    )
            self._operator.kill()
            step.note = f"during the step {doing}"
        with self._progress.step("start it again; the backup goes on") as step:
            self._operator.start()
            self._tenant.log_in()
            self._tenant.wait_for("the backup", f"/backups/{made['id']}", "backup", "COMPLETED", step.live)

    def _delete_everything(self, instances: tuple[Mapping[str, Any], ...]) -> None:
        with self._progress.step("delete instances and backups") as step:
            paths = [f"/backups/{backup['id']}" for backup in self._tenant.get("/backups")["backups"]]
            paths += [f"/instances/{instance['id']}" for instance in instances]
            for path in paths:
                self._tenant.delete(path)
            for path in paths:
                step.live(path)
                self._tenant.wait_gone(path, path)
            step.note = f"{len(paths)} gone"


def shortened(lines: Sequence[str]) -> Sequence[str]:
    """The first and the last lines of a history, and between them how many more there are."""
    between = len(lines) - _FIRST - _LAST
    if between <= 1:
        return lines
    return [*lines[:_FIRST], f"… {between} more …", *lines[-_LAST:]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
