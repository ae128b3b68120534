"""No secret is in any output: a whole run with passwords and keys that can be recognised, then a search for them."""

import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import msgspec
import psycopg
import pytest
from tests.kills.stage import eventually
from tests.support.canaries import Canary, Find, Sampler, in_bytes, in_files
from tests.support.machine import GUEST_PYTHON, Machine

from muniment.operations.backup_keys import BackupKeys
from muniment_cli.installation import opened

pytestmark = [pytest.mark.engine, pytest.mark.slow]

_ACCOUNTS = frozenset({"clouds.yaml"})
_COMMANDS = ("events", "status", "doctor", "verify", "drivers")
_PAGES = (
    "/instances/detail",
    "/backups",
    "/operations",
    "/events",
    "/instances/{id}",
    "/instances/{id}/users",
)
_SHORT_LIVED = ("cloud/servers/*/token", "cloud/servers/*/state/*", "cloud/servers/*/state/jobs/*/*")
_PROGRAMS = (
    b"muniment\0up",
    b"muniment_guest.main",
    b"muniment_guest.job",
    b"/postgres\0-D",
    b"pg_basebackup\0",
)


class Run(NamedTuple):
    """What a run left to search."""

    machine: Machine
    canaries: list[Canary]
    sampler: Sampler
    outputs: dict[str, bytes]


class _Person:
    """Uses everything that takes or makes a secret."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.outputs: dict[str, bytes] = {}
        self.canaries = [
            Canary(name, f"canary-{name}-{secrets.token_hex(12)}".encode(), allowed)
            for name, allowed in (
                ("demo", _ACCOUNTS), ("admin", _ACCOUNTS), ("user", frozenset[str]()), ("changed", frozenset[str]()),
                ("root", frozenset[str]()), ("refused", frozenset[str]()), ("mistyped", frozenset[str]()),
            )
        ]  # fmt: skip

    def word(self, name: str) -> str:
        """The secret of that name."""
        return next(one.secret for one in self.canaries if one.name == name).decode()

    def set_passwords(self) -> None:
        """Give the two accounts passwords that can be recognised."""
        for account in ("demo", "admin"):
            text = self.word(account) + "\n"
            done = self.machine.muniment("passwd", account, "--data", str(self.machine.data), text=text)
            assert done.returncode == 0, done.stderr
            self.outputs[f"passwd {account}"] = (done.stdout + done.stderr).encode()

    def act(self) -> None:
        """Create, change, back up and restore; ask wrongly, too."""
        with self.machine.rest() as rest:
            self.rest = rest
            self._log_in()
            source = self._create("source", databases=[{"name": "shop"}], users=[self._user("app", "user")])
            self._change(source)
            backup = self._back_up(source)
            copy = self._create("copy", restorePoint={"backupRef": backup})
            self._check_login(copy)
            for path in _PAGES:
                self._keep(path, rest.get(path.format(id=source)))
            for command in _COMMANDS:
                done = self.machine.operate(command)
                self.outputs[command] = (done.stdout + done.stderr).encode()

    def _log_in(self) -> None:
        """Get a token as clients do; then with a password that is wrong."""
        auth = self.machine.auth()
        for name, status in (("demo", 201), ("mistyped", 401)):
            user = {"name": "demo", "domain": {"id": "default"}, "password": self.word(name)}
            body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
            answer = httpx.post(f"{auth['auth_url']}/v3/auth/tokens", json=body)
            assert answer.status_code == status, answer.text
            self._keep(f"login as {name}", answer)
            if answer.is_success:
                self.canaries.append(Canary("token", answer.headers["X-Subject-Token"].encode()))

    def _user(self, name: str, password: str) -> dict[str, Any]:
        return {"name": name, "password": self.word(password), "databases": [{"name": "shop"}]}

    def _create(self, name: str, **more: Any) -> str:
        body = {"instance": {"name": name, "flavorRef": "1", "volume": {"size": 1}, **more}}
        answer = self._keep(f"create {name}", self.rest.post("/instances", json=body))
        assert answer.status_code == 200, answer.text
        instance_id = str(answer.json()["instance"]["id"])
        eventually(lambda: self._status("instance", instance_id) == "ACTIVE", f"{name} is active", 120)
        return instance_id

    def _change(self, instance_id: str) -> None:
        """Every other way for a password to come in: a new account, a changed one, the superuser; and a refusal."""
        path = f"/instances/{instance_id}"
        for method, place, body, status in (
            ("POST", "/users", {"users": [self._user("pg_no", "refused")]}, 400),
            ("POST", "/users", {"users": [{"name": "late", "password": self.word("refused") * 200}]}, 400),
            ("POST", "/users", {"users": [self._user("late", "user")]}, 202),
            ("PUT", "/users", {"users": [{"name": "app", "password": self.word("changed")}]}, 202),
            ("POST", "/root", {"password": self.word("root")}, 200),
        ):
            answer = self.rest.request(method, path + place, json=body)
            assert answer.status_code == status, answer.text
            if place != "/root":  # whose answer is the one place where a password is handed out
                self._keep(f"{method} {place} {status}", answer)
            eventually(self._is_quiet, "every operation ends", 60)

    def _back_up(self, instance_id: str) -> str:
        answer = self.rest.post("/backups", json={"backup": {"name": "b", "instance": instance_id}})
        backup_id = str(self._keep("create a backup", answer).json()["backup"]["id"])
        eventually(lambda: self._status("backup", backup_id) == "COMPLETED", "the backup is complete", 120)
        return backup_id

    def _check_login(self, instance_id: str) -> None:
        """The passwords are those that were given: what is searched for is what was used."""
        endpoint = self.rest.get(f"/instances/{instance_id}").json()["instance"]["endpoints"][0]
        with psycopg.connect(
            host=endpoint["host"], port=endpoint["port"], dbname="shop", user="app",
            password=self.word("changed"), connect_timeout=10,
        ) as connection:  # fmt: skip
            assert connection.execute("SELECT session_user").fetchone() == ("app",)

    def _is_quiet(self) -> bool:
        return not self.rest.get("/operations", params={"state": "running"}).json()["operations"]

    def _status(self, kind: str, resource_id: str) -> str:
        return str(self.rest.get(f"/{kind}s/{resource_id}").json()[kind]["status"])

    def _keep(self, name: str, answer: httpx.Response) -> httpx.Response:
        self.outputs[name] = answer.content
        return answer


def _keys(machine: Machine, sampler: Sampler) -> list[Canary]:
    """Keys, which nobody chooses: known from the places where each must be."""
    found = [Canary("key-encryption key", (machine.data / "key").read_bytes().strip(), frozenset({"key"}))]
    for path, content in sampler.kept.items():
        if path.endswith("/token"):
            found.append(Canary("enrolment token", content))
        elif path.endswith("/state/identity"):
            identity = msgspec.msgpack.decode(content)
            found += [
                Canary(f"{name} of a guest", identity[name], frozenset({"identity"}))
                for name in ("root_key", "bearer")
            ]
    with opened(machine.data) as installation, installation.ledger.reading() as reader:
        keys = BackupKeys(installation.cipher)
        with closing(sqlite3.connect(f"file:{machine.data / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            owners = ledger.execute("SELECT owner FROM keys WHERE purpose = 'backup-dek'").fetchall()
            (project,) = ledger.execute("SELECT owner FROM keys WHERE purpose = 'project-dek'").fetchone()
        found += [
            Canary("backup data key", keys.open(reader, project, UUID(owner)).reveal()) for (owner,) in owners
        ]
    return found


@pytest.fixture
def run() -> Iterator[Run]:
    """A run to its end, on a machine that still runs."""
    if not GUEST_PYTHON.exists():
        pytest.skip(".venv-guest is not there; `make install` makes it")
    machine = Machine()
    try:
        machine.up("--api", "127.0.0.1:0", "--verbose", MUNIMENT_LOCAL_ALLOW_SHARED_SUPERUSER="true")
        person = _Person(machine)
        sampler = Sampler(person.canaries, machine.data, *_SHORT_LIVED)
        sampler.start()
        try:
            person.set_passwords()
            person.act()
        finally:
            sampler.stop()
        yield Run(machine, person.canaries + _keys(machine, sampler), sampler, person.outputs)
    finally:
        machine.remove()


def _found(run: Run) -> set[Find]:
    """Every find in files and outputs."""
    places = (run.machine.folder, Path((run.machine.data / "run").read_text().splitlines()[0]))
    found = {find for place in places for find in in_files(place, run.canaries)}
    for name, content in run.outputs.items():
        found |= in_bytes(content, run.canaries, f"answer of {name}")
    return found


def test_no_output_holds_a_secret(run: Run) -> None:
    """No file, answer, command line or environment of a whole run holds one; and had it been there, it would be found.

    One test, since every worker that has a test of such a run makes one of its own.
    """
    _check_that_there_was_something_to_find(run)
    assert run.sampler.finds == set()
    assert _found(run) == set()
    _check_that_planted_ones_are_found(run)


def _check_that_there_was_something_to_find(run: Run) -> None:
    """All kinds of secrets are known, each is where it must be, and every kind of process was looked at."""
    names = {canary.name for canary in run.canaries}
    assert names >= {
        "demo", "admin", "user", "changed", "root", "refused", "mistyped", "token", "key-encryption key",
        "enrolment token", "root_key of a guest", "bearer of a guest", "backup data key",
    }  # fmt: skip
    for program in _PROGRAMS:
        assert any(program in command for command in run.sampler.commands), program
    for place, name in (
        ("clouds.yaml", "demo"),
        ("clouds.yaml", "admin"),
        ("key", "key-encryption key"),
        ("cloud/servers/*/state/identity", "root_key of a guest"),
    ):
        wanted = [Canary(one.name, one.secret) for one in run.canaries if one.name == name]
        for path in run.machine.data.glob(place):
            assert in_bytes(path.read_bytes(), wanted, place), f"{name} is not in {path}"


def _check_that_planted_ones_are_found(run: Run) -> None:
    """The same search finds one that is added to files of the run: a log, the settings, a backup."""
    patterns = ("cloud/servers/*/log/agent.log", "settings.toml", "backups/*/manifest.json")
    files = [path for pattern in patterns for path in run.machine.data.glob(pattern)]
    planted = next(canary for canary in run.canaries if canary.name == "user")
    before = {path: path.read_bytes() for path in files}
    for path, content in before.items():
        path.write_bytes(content + b"password: " + planted.secret)
    found = _found(run)
    for path, content in before.items():  # with damaged settings nothing removes the machine
        path.write_bytes(content)
    assert found == {Find("user", str(path)) for path in files}
    assert len(files) >= len(patterns)


def test_a_secret_in_a_command_line_or_environment_is_found(tmp_path: Path) -> None:
    """A process that was told one is noticed while it runs."""
    secret = Canary("told", secrets.token_hex(16).encode())
    word = secret.secret.decode()
    program = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    for words, variables in (([*program, word], {}), (program, {"PGPASSWORD": word})):
        with subprocess.Popen(words, env=variables, stdin=subprocess.PIPE) as child:
            sampler = Sampler([secret], tmp_path)
            sampler.start()
            sampler.stop()
            assert child.stdin is not None
            child.stdin.close()
        assert {find.canary for find in sampler.finds} == {"told"}
