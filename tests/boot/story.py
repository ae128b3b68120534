"""What a unit must hold to, step by step, on a machine that boots."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.boot.image import USER
from tests.boot.installation import Database, Installation
from tests.boot.machine import Machine
from tests.boot.waiting import Broken, wait_for

__all__ = ["tell"]

_SOON_S = 60.0
_BACK_S = 120.0
"""From the moment systemd has booted until a database answers."""
_SHUTDOWN_S = 80.0
"""systemd waits 90 s for what does not end."""
_UNIT = "muniment"
_SETTING = "\n[local]\nno_such_setting = 1\n"


def tell(machine: Machine, *, user: str) -> None:
    """The whole story, as root with a unit of the system, or as an ordinary user with one of their own.

    Raises:
        Broken: something does not hold.
    """
    own = Installation(machine, user=user)
    with _step("install"):
        _install(own)
    with _step("start; ready at once"):
        own.done(own.systemctl("start", _UNIT))
        own.done(own.muniment("status"))
    with _step("create an instance with rows"):
        database = own.create("shop")
    with _step("stop and start; the database notices nothing"):
        _stop_and_start(own, database)
    with _step("kill -9; systemd starts it again"):
        _kill(own, database)
    with _step("the journal has the log, and no password"):
        _read_journal(own, database)
    with _step("a wrong setting is not tried for ever"):
        _break_settings(own, database)
    with _step("shutdown with a client connected, boot; all is back"):
        _shut_down(own, database)
    if not own.is_system:
        with _step("the last session ends; databases are shut down, and back with the next"):
            _log_out(own, database)
    with _step("power cut in the middle of a create, boot; it goes on"):
        _cut_power(own, database)
    with _step("muniment down stops all, and a boot starts it"):
        _down(own, database)
    with _step("uninstall leaves databases running, and no unit"):
        _uninstall(own, database)
    with _step("boot without the unit; nothing runs"):
        _boot_without(own)


def _install(own: Installation) -> None:
    said = own.done(own.muniment("service", "install"))
    _expect("is not enabled", own.systemctl("is-enabled", _UNIT).out == "enabled")
    if own.is_system:
        return
    _expect("does not tell of lingering", f"loginctl enable-linger {USER}" in said.out)
    own.done(own.machine.run("loginctl", "enable-linger", USER))
    again = own.done(own.muniment("service", "install"))
    _expect("tells of lingering that is enabled", "linger" not in again.out)
    # As after `sudo -u`: nothing in the environment leads to the user's own systemd.
    own.done(own.machine.become(USER, *own.command("service", "install")))


def _stop_and_start(own: Installation, database: Database) -> None:
    before = own.databases()
    _expect(f"runs as {before}", len(before) == 2)
    own.done(own.systemctl("stop", _UNIT))
    _expect("is not inactive", own.state() == "inactive")
    _expect("still runs", own.muniment("status").code == 1)
    _expect("its database does not answer", own.has_rows(database))
    own.done(own.systemctl("start", _UNIT))
    _expect_same(own, database, before)


def _kill(own: Installation, database: Database) -> None:
    before, main = own.databases(), own.property("MainPID")
    own.done(own.machine.run("kill", "-9", main))
    wait_for(
        "the unit is active again",
        lambda: own.state() == "active" and own.property("MainPID") != main,
        limit_s=_SOON_S,
    )
    _expect_same(own, database, before)


def _read_journal(own: Installation, database: Database) -> None:
    text = own.journal()
    _expect("does not say ready", "ready http://127.0.0.1:8779" in text)
    _expect("logs no requests", '"event": "request answered"' in text)
    clouds = own.done(own.machine.run("cat", f"{own.data}/clouds.yaml", user=own.user)).out
    passwords = [line.split(":", 1)[1].strip() for line in clouds.splitlines() if "password:" in line]
    _expect(f"has {len(passwords)} passwords", len(passwords) == 2)
    for password in (database.password, *passwords):
        _expect("logs a password", password not in text)


def _break_settings(own: Installation, database: Database) -> None:
    file = f"{own.data}/settings.toml"
    own.done(own.machine.run("cp", "-p", file, f"{file}.before", user=own.user))
    own.done(own.machine.run("sh", "-c", 'printf "%s" "$1" >> "$2"', "sh", _SETTING, file, user=own.user))
    _expect("starts with a wrong setting", own.systemctl("restart", _UNIT).code != 0)
    _expect(f"is {own.state()}", own.state() == "failed")
    _expect("does not say what is wrong", "no_such_setting" in own.journal())
    _expect("its database does not answer", own.has_rows(database))
    own.done(own.machine.run("mv", f"{file}.before", file, user=own.user))
    own.done(own.systemctl("start", _UNIT))


def _shut_down(own: Installation, database: Database) -> None:
    starts = len(own.starts_of_engine())
    own.machine.leave_running(f'{database.psql} -c "select pg_sleep(3600)"')
    wait_for("a client is connected", own.clients, limit_s=_SOON_S)
    took_s = own.machine.shut_down()
    _expect(f"takes {took_s:.0f} s to shut down", took_s < _SHUTDOWN_S)
    own.machine.boot()
    _await_back(own, database)
    ends = own.starts_of_engine()[starts:]
    _expect(f"its database began with {ends}", ends == ["database system was shut down"])


def _log_out(own: Installation, database: Database) -> None:
    """Without lingering the user's systemd ends after the last session; nothing is asked as this user meanwhile."""
    starts = len(own.starts_of_engine())
    own.done(own.machine.run("loginctl", "disable-linger", USER))
    wait_for("no database runs", lambda: not own.databases(), limit_s=_SHUTDOWN_S)
    own.done(own.machine.run("loginctl", "enable-linger", USER))
    _await_back(own, database)
    ends = own.starts_of_engine()[starts:]
    _expect(f"its database began with {ends}", ends == ["database system was shut down"])


def _cut_power(own: Installation, database: Database) -> None:
    own.done(own.tenant("instance", "create", "second"))
    own.machine.cut_power()
    own.machine.boot()
    _await_back(own, database)
    wait_for("the second instance is there", lambda: own.status_of("second") == "ACTIVE", limit_s=_BACK_S)
    own.done(own.tenant("instance", "delete", "second", "--yes", "--wait"))


def _down(own: Installation, database: Database) -> None:
    own.done(own.muniment("down"))
    wait_for("the unit is inactive", lambda: own.state() == "inactive", limit_s=_SOON_S)
    _expect(f"leaves {own.databases()}", not own.databases())
    own.machine.shut_down()
    own.machine.boot()
    _await_back(own, database)


def _uninstall(own: Installation, database: Database) -> None:
    before = own.databases()
    own.done(own.muniment("service", "uninstall"))
    _expect("is still known", own.property("LoadState") == "not-found")
    _expect("still runs", own.muniment("status").code == 1)
    _expect("does not leave databases alone", own.databases() == before and own.has_rows(database))


def _boot_without(own: Installation) -> None:
    own.machine.shut_down()
    own.machine.boot()
    _expect("runs all the same", own.muniment("status").code == 1)
    _expect(f"runs {own.databases()}", not own.databases())
    own.done(own.muniment("down", "--purge", "--yes"))


def _await_back(own: Installation, database: Database) -> None:
    """Nobody types anything: the database answers, and everything is well."""
    wait_for("the database answers with its rows", lambda: own.has_rows(database), limit_s=_BACK_S)
    wait_for("the unit is active", lambda: own.state() == "active", limit_s=_SOON_S)
    wait_for("muniment doctor is content", lambda: own.muniment("doctor").code == 0, limit_s=_SOON_S)


def _expect_same(own: Installation, database: Database, before: dict[int, str]) -> None:
    _expect(f"has {own.databases()} instead of {before}", own.databases() == before)
    _expect("its database does not answer", own.has_rows(database))
    wait_for("muniment doctor is content", lambda: own.muniment("doctor").code == 0, limit_s=_SOON_S)


def _expect(otherwise: str, holds: bool) -> None:
    if not holds:
        raise Broken(f"the unit {otherwise}")


@contextmanager
def _step(name: str) -> Iterator[None]:
    began_s = time.monotonic()
    try:
        yield
    except Broken as broken:
        raise Broken(f"{name}: {broken}") from None
    print(f"  {name} ({time.monotonic() - began_s:.1f} s)", flush=True)
