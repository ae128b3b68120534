"""Databases on a real server."""

from contextlib import closing

import psycopg
import pytest
from tests.support.postgresql_host import connect

from muniment.contract.errors import Code, OpFailed, RejectedName
from muniment.contract.ops import Account, DatabaseSpec, Page, UserSpec
from muniment.secret import Secret
from muniment_postgresql.control import PostgresqlControl
from muniment_postgresql.guest import PostgresqlGuest
from muniment_postgresql.locales import ENCODINGS
from muniment_postgresql.session import session

pytestmark = pytest.mark.engine


def test_defaults_and_repetition(guest: PostgresqlGuest) -> None:
    """A database without settings is UTF8 and sorts by code point; making it again changes nothing."""
    guest.create_database(DatabaseSpec(name="plain"))
    guest.create_database(DatabaseSpec(name="plain"))
    guest.create_database(DatabaseSpec(name="plain", character_set="utf8", collate="C.UTF-8"))

    found = [item for item in guest.list_databases(Page()).items if item.name == "plain"]

    assert found == [DatabaseSpec(name="plain", character_set="UTF8", collate="C.UTF-8")]


def test_other_settings_are_refused(guest: PostgresqlGuest) -> None:
    """A database of that name with another encoding is not the one asked for."""
    guest.create_database(DatabaseSpec(name="fixed", character_set="LATIN1"))

    with pytest.raises(OpFailed) as failed:
        guest.create_database(DatabaseSpec(name="fixed", character_set="UTF8"))

    assert failed.value.error.code is Code.ALREADY_EXISTS


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_every_encoding_that_control_accepts(guest: PostgresqlGuest, encoding: str) -> None:
    """The server takes each character set that the control half lets pass."""
    spec = DatabaseSpec(name=f"enc_{encoding}", character_set=encoding.lower())
    PostgresqlControl().check_database(spec)

    guest.create_database(spec)

    guest.drop_database(spec.name)


@pytest.mark.parametrize("collate", ["C", "posix", "C.UTF-8", "c.utf8", "PG_UNICODE_FAST"])
def test_every_collation_that_control_accepts(guest: PostgresqlGuest, collate: str) -> None:
    """The server takes each collation that the control half lets pass."""
    spec = DatabaseSpec(name="collated", collate=collate)
    PostgresqlControl().check_database(spec)

    guest.create_database(spec)
    guest.create_database(spec)

    guest.drop_database("collated")


def test_drop_ends_sessions_and_leaves_no_role(guest: PostgresqlGuest) -> None:
    """A database in use is dropped with its group; the user stays; dropping it again is a success."""
    guest.create_database(DatabaseSpec(name="doomed"))
    guest.create_database(DatabaseSpec(name="other"))
    guest.create_user(UserSpec(account=Account(name="both"), databases=("doomed", "other")), Secret("p"))
    doomed = connect(guest, "both", "p", "doomed")
    group = doomed.execute("SELECT current_user").fetchone()
    assert group is not None
    with closing(connect(guest, "both", "p", "other")) as other:
        other.execute(f"SET ROLE {group[0]}")
        other.execute("RESET ROLE; CREATE TABLE t (a int)")

    guest.drop_database("doomed")
    guest.drop_database("doomed")

    with pytest.raises(psycopg.OperationalError):
        doomed.execute("SELECT 1")
    with session(guest.host) as admin:
        assert admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", group).fetchone() is None
    assert guest.get_user(Account(name="both")).databases == ("other",)


def test_a_group_left_by_a_crash_is_removed(guest: PostgresqlGuest) -> None:
    """A drop that died after the database and before its group is finished by the next one."""
    guest.create_database(DatabaseSpec(name="crashed"))
    with session(guest.host) as admin:
        group = admin.execute(
            "SELECT 'muniment_db_' || oid FROM pg_database WHERE datname = 'crashed'"
        ).fetchone()
        admin.execute("DROP DATABASE crashed")

    guest.drop_database("crashed")

    with session(guest.host) as admin:
        assert admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", group).fetchone() is None


def test_pages(guest: PostgresqlGuest) -> None:
    """Pages follow one another by name, without the engine's own databases."""
    for name in ("zz-1", "zz-2", "zz-3"):
        guest.create_database(DatabaseSpec(name=name))

    first = guest.list_databases(Page(limit=2, marker="zz-"))
    second = guest.list_databases(Page(limit=2, marker="zz-2"))

    assert ([item.name for item in first.items], first.more) == (["zz-1", "zz-2"], True)
    assert ([item.name for item in second.items], second.more) == (["zz-3"], False)
    assert not {"postgres", "template0", "template1"} & {
        item.name for item in guest.list_databases(Page()).items
    }


@pytest.mark.parametrize(
    "name", ["postgres", "template0", "template1", "a/b", "a\nb", "ü" * 32, "\udc80", "..", ""]
)
def test_names_refused_alike_by_both_halves(guest: PostgresqlGuest, name: str) -> None:
    """What the control half refuses before an answer, the guest half refuses too."""
    spec = DatabaseSpec(name=name)

    with pytest.raises(RejectedName):
        PostgresqlControl().check_database(spec)
    with pytest.raises(OpFailed) as failed:
        guest.create_database(spec)

    assert failed.value.error.code is Code.INVALID_ARGUMENT


def test_the_engines_own_are_not_dropped(guest: PostgresqlGuest) -> None:
    """The maintenance database cannot be dropped as a tenant's."""
    with pytest.raises(OpFailed) as failed:
        guest.drop_database("postgres")

    assert failed.value.error.code is Code.INVALID_ARGUMENT
