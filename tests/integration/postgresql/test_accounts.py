"""Accounts on a real server: what a grant is worth, and what taking it away means."""

from contextlib import closing

import psycopg
import pytest
from psycopg.rows import TupleRow
from tests.support.postgresql_host import connect

from muniment.contract.errors import Code, OpFailed
from muniment.contract.ops import Account, AlterUser, DatabaseSpec, Page, UserSpec
from muniment.secret import Secret
from muniment_postgresql.guest import PostgresqlGuest
from muniment_postgresql.session import session as agents_session

pytestmark = pytest.mark.engine


PASSWORD = "pass word'\\"


def _user(guest: PostgresqlGuest, name: str, *databases: str) -> Account:
    account = Account(name=name)
    guest.create_user(UserSpec(account=account, databases=databases), Secret(PASSWORD))
    return account


def _database(guest: PostgresqlGuest, name: str) -> str:
    guest.create_database(DatabaseSpec(name=name))
    return name


def _login(guest: PostgresqlGuest, name: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
    return connect(guest, name, PASSWORD, database)


def test_application_can_work(guest: PostgresqlGuest) -> None:
    """A user with a grant makes, fills, changes and drops tables and schemas, also under a quoted name."""
    _user(guest, 'we"ird ü', _database(guest, 'work "db" %s'))

    with closing(_login(guest, 'we"ird ü', 'work "db" %s')) as work:
        work.execute("CREATE TABLE t (id serial PRIMARY KEY, v text)")
        work.execute("INSERT INTO t (v) VALUES ('a'), ('b')")
        work.execute("CREATE SCHEMA s; CREATE TABLE s.u AS SELECT * FROM t")
        work.execute("ALTER TABLE t ADD w int; CREATE INDEX ON t (v); TRUNCATE s.u; DROP TABLE s.u")
        count = work.execute("SELECT count(*) FROM t").fetchone()

    assert count == (2,)


def test_later_grant_reaches_older_objects(guest: PostgresqlGuest) -> None:
    """What one user made belongs to whoever is granted the database later: to read, to alter, to drop."""
    database = _database(guest, "shared")
    _user(guest, "early", database)
    with closing(_login(guest, "early", database)) as early:
        early.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        early.execute("DISCARD ALL")
        early.execute("CREATE TABLE after_discard (a int)")
    late = _user(guest, "late")

    guest.grant(late, [database])

    with closing(_login(guest, "late", database)) as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
        connection.execute("ALTER TABLE t ADD b int")
        connection.execute("DROP TABLE after_discard")


def test_no_grant_no_entry(guest: PostgresqlGuest) -> None:
    """A user without a grant cannot enter a database, nor the engine's own ones."""
    database = _database(guest, "closed")
    _user(guest, "outsider")

    for name in (database, "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            _login(guest, "outsider", name)


def test_revoke(guest: PostgresqlGuest) -> None:
    """A revoked user's sessions end, it cannot come back, and what it made outside of the group stays usable."""
    database = _database(guest, "revoked")
    leaver = _user(guest, "leaver", database)
    _user(guest, "stayer", database)
    session = _login(guest, "leaver", database)
    session.execute("SET ROLE NONE; CREATE TABLE own (a int); RESET ROLE")

    guest.revoke(leaver, database)
    guest.revoke(leaver, database)

    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        _login(guest, "leaver", database)
    with closing(_login(guest, "stayer", database)) as stayer:
        stayer.execute("DROP TABLE own")
    assert guest.get_user(leaver).databases == ()


def test_revoke_takes_nothing_else(guest: PostgresqlGuest) -> None:
    """Losing one grant, a user keeps the database that it owns by SQL and its privileges on others; nobody gains any."""
    taken, kept, lent = (_database(guest, name) for name in ("one_taken", "one_kept", "one_lent"))
    user = _user(guest, "keeps_the_rest", taken, kept)
    _user(guest, "stranger", taken)
    guest.enable_superuser(Secret("power"))
    with closing(connect(guest, "root", "power", "postgres")) as root:
        root.execute("CREATE DATABASE own_by_sql OWNER keeps_the_rest")
        root.execute("GRANT CREATE ON DATABASE own_by_sql TO stranger")
        root.execute("GRANT CONNECT ON DATABASE one_lent TO keeps_the_rest")
        root.execute("GRANT TEMPORARY ON DATABASE one_lent TO keeps_the_rest WITH GRANT OPTION")
        root.execute("GRANT CREATE ON DATABASE one_taken TO keeps_the_rest")
        before = _rights_outside(root, taken)

        guest.revoke(user, taken)

        assert _rights_outside(root, taken) == before
    with closing(_login(guest, "keeps_the_rest", "own_by_sql")) as session:
        session.execute("CREATE SCHEMA mine; ALTER DATABASE own_by_sql SET work_mem = '5MB'")
    for name in (kept, lent):
        _login(guest, "keeps_the_rest", name).close()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        _login(guest, "keeps_the_rest", taken)
    with (
        closing(_login(guest, "stranger", "own_by_sql")) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute("ALTER DATABASE own_by_sql SET work_mem = '6MB'")


def _rights_outside(root: psycopg.Connection[TupleRow], database: str) -> list[TupleRow]:
    """Who owns and who may do what in all databases but one."""
    return root.execute(
        "SELECT datname, pg_get_userbyid(datdba), a.* FROM pg_database LEFT JOIN LATERAL aclexplode(datacl) a ON true"
        " WHERE datname <> %s ORDER BY datname, grantee, grantor, privilege_type",
        (database,),
    ).fetchall()


def test_revoke_from_the_owner_by_sql(guest: PostgresqlGuest) -> None:
    """A database that was made by SQL is its group's once its owner loses it: whoever is granted it can work there."""
    owner = _user(guest, "maker")
    heir = _user(guest, "next_maker")
    guest.enable_superuser(Secret("power"))
    with closing(connect(guest, "root", "power", "postgres")) as root:
        root.execute("CREATE DATABASE made_by_sql OWNER maker")
    with closing(_login(guest, "maker", "made_by_sql")) as session:
        session.execute("CREATE TABLE own (a int)")

    guest.revoke(owner, "made_by_sql")

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        _login(guest, "maker", "made_by_sql")
    guest.grant(heir, ["made_by_sql"])
    with closing(_login(guest, "next_maker", "made_by_sql")) as session:
        session.execute("DROP TABLE own; CREATE SCHEMA s; CREATE TEMPORARY TABLE t (a int)")


def test_drop_user_that_owns_objects(guest: PostgresqlGuest) -> None:
    """A user that owns objects in several databases, and a database, is dropped, and the objects stay usable."""
    databases = [_database(guest, name) for name in ("first", "second")]
    owner = _user(guest, "owner", *databases)
    _user(guest, "heir", *databases)
    for name in databases:
        with closing(_login(guest, "owner", name)) as session:
            session.execute("SET ROLE NONE; CREATE TABLE own (a int); GRANT SELECT ON own TO heir")
    guest.enable_superuser(Secret("power"))
    with closing(connect(guest, "root", "power", "postgres")) as root:
        root.execute("CREATE DATABASE by_sql OWNER owner")
        root.execute("GRANT pg_read_all_stats TO owner WITH ADMIN OPTION")
    with closing(connect(guest, "root", "power", "first")) as root:
        root.execute("CREATE TABLE of_root (a int); GRANT SELECT ON of_root TO owner")
        root.execute("ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT ON TABLES TO heir")
    open_session = _login(guest, "owner", "first")
    open_session.execute("SET ROLE NONE; GRANT pg_read_all_stats TO heir")

    guest.drop_user(owner)
    guest.drop_user(owner)

    with pytest.raises(psycopg.OperationalError):
        open_session.execute("SELECT 1")
    for name in databases:
        with closing(_login(guest, "heir", name)) as heir:
            heir.execute("DROP TABLE own")
    guest.grant(Account(name="heir"), ["by_sql"])
    with pytest.raises(OpFailed) as failed:
        guest.get_user(owner)
    assert failed.value.error.code is Code.NOT_FOUND


def test_rename_keeps_password_and_grants(guest: PostgresqlGuest) -> None:
    """After a rename the old password opens the same databases; the op repeated is a success."""
    database = _database(guest, "renaming")
    account = _user(guest, "old_name", database)
    change = AlterUser(account=account, new_name="new_name")

    guest.alter_user(change, None)
    guest.alter_user(change, None)

    _login(guest, "new_name", database).close()
    assert guest.get_user(Account(name="new_name")).databases == (database,)


def test_rename_of_nobody_touches_nobody(guest: PostgresqlGuest) -> None:
    """Renaming an account that never was to one that exists is refused, and the password given is not set."""
    database = _database(guest, "untouched")
    _user(guest, "bystander", database)

    with pytest.raises(OpFailed) as failed:
        guest.alter_user(AlterUser(account=Account(name="ghost"), new_name="bystander"), Secret("stolen"))

    assert failed.value.error.code is Code.NOT_FOUND
    _login(guest, "bystander", database).close()


def test_rename_to_a_taken_name(guest: PostgresqlGuest) -> None:
    """A name that somebody has is refused."""
    first, second = _user(guest, "taker"), _user(guest, "taken")

    with pytest.raises(OpFailed) as failed:
        guest.alter_user(AlterUser(account=first, new_name=second.name), None)

    assert failed.value.error.code is Code.ALREADY_EXISTS


def test_changed_password(guest: PostgresqlGuest) -> None:
    """The new password opens, the old one does not."""
    database = _database(guest, "password")
    account = _user(guest, "changer", database)

    guest.alter_user(AlterUser(account=account), Secret("another"))

    connect(guest, "changer", "another", database).close()
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        _login(guest, "changer", database)


def test_only_a_verifier_is_kept_and_nothing_is_logged(guest: PostgresqlGuest) -> None:
    """The server keeps a SCRAM verifier; neither it nor the password is in the engine's log, not even after a refusal."""
    log = guest.host.data.outside.parent / "agent" / "log"
    guest.create_user(UserSpec(account=Account(name="keeper")), Secret("canary-in-the-mine"))
    with pytest.raises(OpFailed):
        guest.create_user(
            UserSpec(account=Account(name="loser"), databases=("no such database",)),
            Secret("canary-in-the-mine"),
        )

    guest.enable_superuser(Secret("power"))
    with closing(connect(guest, "root", "power", "postgres")) as root:
        row = root.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'keeper'").fetchone()

    assert row is not None
    assert str(row[0]).startswith("SCRAM-SHA-256$")
    assert "canary" not in log.read_text()
    assert "SCRAM-SHA-256$" not in log.read_text()


def test_listing_in_pages(guest: PostgresqlGuest) -> None:
    """Pages follow one another by name, without the engine's accounts; a marker may carry the host `%`."""
    for name in ("page-a", "page-B", "page-c"):
        _user(guest, name)

    first = guest.list_users(Page(limit=2, marker="page-"))
    second = guest.list_users(Page(limit=2, marker="page-a@%"))
    everyone = {view.account.name for view in guest.list_users(Page()).items}

    assert [view.account.name for view in first.items] == ["page-B", "page-a"]
    assert first.more
    assert [view.account.name for view in second.items][:1] == ["page-c"]
    assert not {"postgres", "root", "pg_monitor"} & everyone
    assert not any(name.startswith("muniment_") for name in everyone)


def test_half_a_create_leaves_nothing(guest: PostgresqlGuest) -> None:
    """A create with an unknown database makes no account."""
    with pytest.raises(OpFailed) as failed:
        _user(guest, "half", "no such database")

    assert failed.value.error.code is Code.NOT_FOUND
    with pytest.raises(OpFailed):
        guest.get_user(Account(name="half"))


@pytest.mark.parametrize(
    "name", ["postgres", "root", "pg_monitor", "none", "muniment_db_1", "a@b", "a/b", " a", ""]
)
def test_reserved_and_bad_names(guest: PostgresqlGuest, name: str) -> None:
    """The guest refuses by itself what the control half refuses."""
    with pytest.raises(OpFailed) as failed:
        _user(guest, name)

    assert failed.value.error.code is Code.INVALID_ARGUMENT


def test_superuser(guest: PostgresqlGuest) -> None:
    """Enabled it has all power over TCP with the newest password; disabled it has none, and its sessions end."""
    guest.enable_superuser(Secret("first"))
    guest.enable_superuser(Secret("second"))
    session = connect(guest, "root", "second", "postgres")
    row = session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row == (True,)
    assert guest.superuser_status().enabled

    guest.disable_superuser()
    guest.disable_superuser()

    assert not guest.superuser_status().enabled
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        connect(guest, "root", "second", "postgres")


def test_a_tenants_traps_do_not_catch_the_agent(guest: PostgresqlGuest) -> None:
    """A user whose database has operators and settings against us is dropped as any other."""
    database = _database(guest, "trapped")
    trapper = _user(guest, "trapper", database)
    with closing(_login(guest, "trapper", database)) as session:
        session.execute(
            "CREATE FUNCTION public.trap(name, name) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;"
            "CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.trap);"
            "ALTER DATABASE trapped SET search_path = public, pg_catalog;"
            "ALTER DATABASE trapped SET default_transaction_read_only = on;"
            "SET ROLE NONE; SET default_transaction_read_only = off; CREATE TABLE own (a int)"
        )

    guest.drop_user(trapper)

    with pytest.raises(OpFailed):
        guest.get_user(trapper)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 'a'::name = 'a'::name",
        "SELECT datname FROM pg_database WHERE datname = 'querying' AND pg_get_userbyid(datdba) IS NOT NULL",
        "SELECT count(*) FROM pg_database, aclexplode(datacl)",
    ],
)
def test_a_tenants_functions_do_not_answer_the_agent(guest: PostgresqlGuest, query: str) -> None:
    """An operator or function of a tenant, before the engine's own in the database's path, is not run by our queries."""
    trapper = _user(guest, "query_trapper", _database(guest, "querying"))
    with closing(_login(guest, "query_trapper", "querying")) as session:
        _set_traps(session, "querying")
        # The tenant's own session shows that the traps work; the database's path holds from the next session on.
        session.execute("SET search_path = public, pg_catalog")
        with pytest.raises(psycopg.errors.RaiseException, match="caught"):
            session.execute(query)

    with agents_session(guest.host, "querying") as session:
        session.execute(query)
    guest.revoke(trapper, "querying")

    assert guest.get_user(trapper).databases == ()
    guest.drop_user(trapper)
    guest.drop_database("querying")


def _set_traps(session: psycopg.Connection[TupleRow], database: str) -> None:
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;"
    session.execute(
        f"CREATE FUNCTION public.trap(name, name) RETURNS bool {body}"
        f"CREATE FUNCTION public.pg_get_userbyid(oid) RETURNS name {body}"
        "CREATE FUNCTION public.aclexplode(aclitem[], OUT grantor oid, OUT grantee oid, OUT privilege_type text,"
        f" OUT is_grantable bool) RETURNS SETOF record {body}"
        "CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.trap);"
        "CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = name, FUNCTION = public.trap);"
        f"ALTER DATABASE {database} SET search_path = public, pg_catalog"
    )


def test_nobody_comes_in_over_the_socket(guest: PostgresqlGuest) -> None:
    """Over the socket there is the bootstrap superuser only; over TCP there is everyone but it."""
    guest.enable_superuser(Secret("power"))
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(
            host=str(guest.host.run.outside),
            port=guest.host.port,
            user="root",
            password="power",
            dbname="postgres",
        )
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        connect(guest, "postgres", "", "postgres")
