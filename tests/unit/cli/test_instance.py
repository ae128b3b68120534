"""`muniment instance` and `muniment backup` against a service that answers from memory."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from muniment.secret import Secret
from muniment_cli import passwords
from muniment_cli.commands import backup, instance
from muniment_cli.failure import BadInput, Failure
from muniment_cli.rest import Rest

_MADE = {
    "id": "i1",
    "name": "shop",
    "status": "ACTIVE",
    "datastore": {"type": "postgresql", "version": "18"},
    "volume": {"size": 1},
    "flavor": {"id": "1"},
    "created": "today",
    "endpoints": [{"type": "client", "host": "127.0.0.1", "port": 5000}],
}
_FLAVOR = {"id": 1, "str_id": "1", "name": "small", "ram": 512}


def _backup(id_: str, name: str, status: str, created: str) -> dict[str, Any]:
    return {"id": id_, "name": name, "status": status, "created": created}


class Service:
    """What the commands are told, and what they asked for."""

    def __init__(self) -> None:
        self.instances: list[dict[str, Any]] = []
        self.backups: list[dict[str, Any]] = []
        self.inside = {"databases": [{"name": "shop"}], "users": [{"name": "app"}]}
        self.posted: dict[str, Any] = {}
        self.deleted: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        path = request.url.path.removeprefix("/P/")
        if request.method == "POST":
            self.posted = json.loads(request.content)["instance"]
            return httpx.Response(200, json={"instance": _MADE})
        if request.method == "DELETE":
            self.deleted.append(path)
            return httpx.Response(202)
        last = path.rpartition("/")[2]
        lists = {"flavors": [_FLAVOR], "instances": self.instances, "backups": self.backups, **self.inside}
        if last in lists:
            return httpx.Response(200, json={last: lists[last]})
        if path.startswith("instances/"):
            return httpx.Response(200, json={"instance": {**_MADE, "id": last}})
        return httpx.Response(200, json={"backup": next(b for b in self.backups if b["id"] == last)})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """One that both commands log in to, and whose operations end at once."""
    made = Service()

    @contextmanager
    def logged_in(cloud: str | None) -> Iterator[Rest]:
        yield Rest(httpx.Client(transport=httpx.MockTransport(made.answer)), "http://h/P", "token")

    for command in (instance, backup):
        monkeypatch.setattr(command, "logged_in", logged_in)
        monkeypatch.setattr(command, "follow_operation", lambda *args, **kwargs: {})
    monkeypatch.setattr(passwords, "generated_password", lambda: Secret("drawn"))
    return made


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody at a terminal, who types a line."""

    def type_(line: str) -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(sys.stdin, "readline", lambda *_: f"{line}\n")

    return type_


def test_a_drawn_password_outlives_the_wait(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told before the wait, which ends early here."""

    def end(*args: object, **kwargs: object) -> None:
        raise Failure("no longer watched")

    monkeypatch.setattr(instance, "follow_operation", end)
    with pytest.raises(Failure, match="no longer watched"):
        instance.create("shop", user="app", wait=True)
    assert capsys.readouterr().err == "password of app: drawn (shown only now)\n"


def test_a_given_password_is_not_printed(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever gives a password knows it: the psql line comes without."""
    monkeypatch.setattr(sys.stdin, "readline", lambda *_: "given\n")
    instance.create("shop", user="app", database="shop", password_stdin=True, wait=True)
    told = capsys.readouterr()
    assert service.posted["users"][0]["password"] == "given"
    assert "given" not in told.out + told.err
    assert told.out.endswith("-h 127.0.0.1 -p 5000 -U app -d shop\n")


def test_programs_get_password_and_line(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON carries what the table's last line says."""
    instance.create("shop", user="app", database="shop", wait=True, output="json")
    told = json.loads(capsys.readouterr().out)
    assert told["password"] == "drawn"
    assert told["connect"].startswith("PGPASSWORD=drawn ")


def test_a_restored_one_has_the_accounts_of_its_backup(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the account and database that came with the backup, and a sentence says so."""
    service.backups = [_backup("b1", "nightly", "COMPLETED", "1")]
    instance.create("copy", backup="nightly", wait=True)
    told = capsys.readouterr()
    assert told.out.endswith("-U app -d shop\n")
    assert "PGPASSWORD" not in told.out
    assert "are those of the backup; its superuser is off\n" in told.err


def test_an_account_beside_those_of_the_backup(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """What becomes of `--user` in a restored instance is said."""
    service.backups = [_backup("b1", "nightly", "COMPLETED", "1")]
    instance.create("copy", backup="nightly", user="app")
    assert "app is there beside them, or has the new password" in capsys.readouterr().err


def test_a_backup_that_is_being_deleted_is_no_way_back(
    service: Service, typed: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not count when an instance is deleted, is not restored where there is another, and is shown as leaving."""
    leaving = {**_backup("b2", "nightly", "COMPLETED", "2"), "is_deleting": True}
    service.backups = [leaving, _backup("b1", "nightly", "COMPLETED", "1")]
    instance.create("copy", backup="nightly")
    assert service.posted["restorePoint"] == {"backupRef": "b1"}
    service.backups = [leaving]
    typed("no")
    service.instances = [{"id": "i1", "name": "shop"}]
    with pytest.raises(BadInput, match="nothing was deleted"):
        instance.delete("shop")
    assert "No COMPLETED backup of it exists" in capsys.readouterr().err


def test_the_newest_complete_backup_of_a_name(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several with one name, the newest that can be restored is taken, and named."""
    service.backups = [
        _backup("b3", "nightly", "FAILED", "3"),
        _backup("b1", "nightly", "COMPLETED", "1"),
        _backup("b2", "nightly", "COMPLETED", "2"),
    ]
    instance.create("copy", backup="nightly")
    assert service.posted["restorePoint"] == {"backupRef": "b2"}
    assert "the newest COMPLETED one, b2" in capsys.readouterr().err


def test_a_taken_name_is_noted(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """A second instance of a name is made, with a note."""
    service.instances = [{"id": "i0", "name": "shop"}]
    instance.create("shop")
    assert "an instance named shop is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "said"),
    [("FAILED", "No COMPLETED backup of it exists"), ("COMPLETED", "the newest is nightly of 1")],
)
def test_a_deletion_asks(
    service: Service,
    typed: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
    status: str,
    said: str,
) -> None:
    """On a terminal nothing is deleted before a typed yes; what is left is said."""
    service.instances = [{"id": "i1", "name": "shop"}]
    service.backups = [_backup("b1", "nightly", status, "1")]
    typed("no")
    with pytest.raises(BadInput, match="nothing was deleted"):
        instance.delete("shop")
    with pytest.raises(BadInput, match="nothing was deleted"):
        backup.delete("nightly")
    assert service.deleted == []
    assert said in capsys.readouterr().err
    typed("yes")
    instance.delete("shop")
    backup.delete("nightly")
    assert service.deleted == ["instances/i1", "backups/b1"]


def test_a_deletion_that_was_told_yes(service: Service, typed: Callable[[str], None]) -> None:
    """`--yes` is not asked again."""
    service.instances = [{"id": "i1", "name": "shop"}]
    typed("no")
    instance.delete("shop", yes=True)
    assert service.deleted == ["instances/i1"]


@pytest.mark.parametrize(("databases", "taken"), [(["sales"], "sales"), (["a", "b"], "app"), ([], "app")])
def test_the_only_database_is_meant(
    service: Service, monkeypatch: pytest.MonkeyPatch, databases: list[str], taken: str
) -> None:
    """Without --database, the only one is connected to, or else the one named like the account."""
    service.instances = [{"id": "i1", "name": "shop"}]
    service.inside["databases"] = [{"name": name} for name in databases]
    started: list[str] = []
    monkeypatch.setattr(os, "execvp", lambda program, words: started.extend(words))
    instance.connect("shop", user="app")
    assert started[-1] == taken


@pytest.mark.parametrize(
    ("words", "given", "database", "more"),
    [
        (("sales",), {}, "sales", []),
        (("sales", "-c", "SELECT 1"), {}, "sales", ["-c", "SELECT 1"]),
        (("-c", "SELECT 1"), {"database": "b"}, "b", ["-c", "SELECT 1"]),
        ((), {}, "shop", []),
    ],
)
def test_what_psql_is_told(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    given: dict[str, str],
    database: str,
    more: list[str],
) -> None:
    """The only account is meant; a word is the database, and what follows is psql's own."""
    service.instances = [{"id": "i1", "name": "shop"}]
    started: list[str] = []
    monkeypatch.setattr(os, "execvp", lambda program, line: started.extend(line))
    instance.connect("shop", *words, **given)
    assert started[started.index("-U") + 1] == "app"
    assert started[started.index("-d") + 1 :] == [database, *more]


def test_of_several_accounts_one_is_to_be_named(service: Service) -> None:
    """They are listed; with none there is, the line that makes one."""
    service.instances = [{"id": "i1", "name": "shop"}]
    service.inside["users"] = [{"name": "app"}, {"name": "report"}]
    with pytest.raises(BadInput, match="--user: app, report"):
        instance.connect("shop")
    service.inside["users"] = []
    with pytest.raises(BadInput, match="muniment user create i1"):
        instance.connect("shop")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "muniment database create shop NAME"),
        ({"database": "d"}, "muniment user create shop USER --database d"),
        ({"user": "u"}, "muniment user grant shop u NAME"),
        ({"user": "u", "database": "d"}, "muniment instance connect shop"),
    ],
)
def test_what_is_missing_is_the_next_step(
    service: Service, capsys: pytest.CaptureFixture[str], given: dict[str, str], told: str
) -> None:
    """A line that could not log in is never printed."""
    instance.create("shop", **given)
    said = capsys.readouterr()
    assert told in said.err
    assert "PGPASSWORD" not in said.out
