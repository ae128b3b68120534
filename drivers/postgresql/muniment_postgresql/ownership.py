"""Who owns what in a tenant's databases, and what a grant means.

Every database has a role of its own, its *group*, named after its oid so that neither renaming nor restoring the database
can part the two. The group owns the database and may create in its schema `public`; it cannot log in. A grant makes an
account a member and lets its sessions in that database begin as the group, so everything it creates there belongs to the
group, and so to everyone with a grant, whenever it is given. It is the access of an owner: create, alter, drop, read, write.
An account that chooses otherwise (`SET ROLE NONE`) keeps what it makes then to itself, until its access is taken away: then
it falls to the group. What the superuser makes is the superuser's, who has to share it by SQL.
Databases are closed to accounts without a grant.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host
from muniment_postgresql.names import ADMINISTRATOR, GROUP_PREFIX, is_system_database
from muniment_postgresql.session import Session, session

__all__ = [
    "close_system_databases", "end_sessions", "ensure_group", "group_of", "remove_role", "remove_stray_groups", "share",
    "unshare",
]  # fmt: skip

_TERMINATE_WAIT_MS = 10_000


def close_system_databases(connection: Session) -> None:
    """Keep accounts out of the databases that are not theirs."""
    for database in (ADMINISTRATOR, "template1"):
        connection.execute(
            sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
        )


def group_of(connection: Session, database: str) -> str:
    """The name that the group of a database has; raises OpFailed(not_found) for an unknown database."""
    row = connection.execute(
        "SELECT oid FROM pg_database WHERE datname = %s AND NOT datistemplate", (database,)
    ).fetchone()
    if row is None or is_system_database(database):
        raise OpFailed(Code.NOT_FOUND, f"there is no database {database!r}")
    return f"{GROUP_PREFIX}{row[0]}"


def ensure_group(connection: Session, database: str) -> str:
    """Have the group, owning the database, which is closed to everyone else; returns its name."""
    group = group_of(connection, database)
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (group,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(group)))
    names = {"database": sql.Identifier(database), "group": sql.Identifier(group)}
    _hand_over(connection, database, group)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
    return group


def share(connection: Session, database: str, role: str) -> None:
    """Make a role one of the owners of a database."""
    group = ensure_group(connection, database)
    names = {
        "database": sql.Identifier(database),
        "group": sql.Identifier(group),
        "role": sql.Identifier(role),
    }
    connection.execute(sql.SQL("GRANT {group} TO {role} WITH INHERIT TRUE, SET TRUE").format(**names))
    connection.execute(
        sql.SQL("ALTER ROLE {role} IN DATABASE {database} SET role TO {group}").format(**names)
    )


def unshare(host: Host, database: str, role: str) -> None:
    """Take a role's access to a database away; what it made there outside of the group falls to the group.

    What it owns and may do elsewhere stays as it is, also a database that it owns by SQL.
    """
    with session(host) as connection:
        with connection.transaction():
            # First of all: a role that owns the database by SQL would give the group what is left after the REVOKE.
            group = ensure_group(connection, database)
            names = {
                "database": sql.Identifier(database),
                "group": sql.Identifier(group),
                "role": sql.Identifier(role),
            }
            connection.execute(sql.SQL("ALTER ROLE {role} IN DATABASE {database} RESET role").format(**names))
            # What was granted by SQL to the role itself goes as well.
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM {role}").format(**names))
            connection.execute(sql.SQL("REVOKE {group} FROM {role}").format(**names))
        # A session that had begun as the group would stay it.
        end_sessions(connection, role, database)
    with (
        session(host, database) as connection,
        connection.transaction(),
        _other_databases_kept(connection, database, role),
    ):
        _reassign(connection, role, group)


def end_sessions(connection: Session, role: str, database: str | None = None) -> None:
    """End a role's sessions, in one database or in all, and wait until they are gone."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
        " WHERE usename = %s AND (%s::text IS NULL OR datname = %s)",
        (_TERMINATE_WAIT_MS, role, database, database),
    )


def remove_role(host: Host, role: str) -> None:
    """Have a role gone from the server. What it owns falls to the groups of the databases where it lies.

    Crash anywhere and call again: each round finds what is left. Nothing is done for a role that is not there.
    """
    with session(host) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
            return
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(role)))
        end_sessions(connection, role)
        for database in _owned_databases(connection, role):
            with connection.transaction():
                ensure_group(connection, database)
        entangled = _databases_with_objects_of(connection, role)
    for database in entangled:
        _give_up(host, database, role)
    with session(host) as connection, connection.transaction():
        _reassign(connection, role, ADMINISTRATOR)
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def remove_stray_groups(host: Host) -> None:
    """Remove groups whose database is gone."""
    with session(host) as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) AND NOT EXISTS"
            " (SELECT 1 FROM pg_database d WHERE rolname = %s || d.oid)",
            (GROUP_PREFIX, GROUP_PREFIX),
        ).fetchall()
    for (group,) in rows:
        remove_role(host, group)


def _give_up(host: Host, database: str, role: str) -> None:
    """In one database, give what a role owns to the database's group and forget what was granted to the role."""
    heir = ADMINISTRATOR
    if not is_system_database(database):
        with session(host) as connection, connection.transaction():
            heir = ensure_group(connection, database)
    with session(host, database) as connection, connection.transaction():
        _reassign(connection, role, heir)


def _reassign(connection: Session, role: str, heir: str) -> None:
    names = {"role": sql.Identifier(role), "heir": sql.Identifier(heir)}
    connection.execute(sql.SQL("REASSIGN OWNED BY {role} TO {heir}").format(**names))
    # Nothing is owned any more: this drops privileges, default privileges and policies only.
    connection.execute(sql.SQL("DROP OWNED BY {role}").format(**names))


@contextmanager
def _other_databases_kept(connection: Session, database: str, role: str) -> Iterator[None]:
    """Have a role own and be allowed as much of all other databases as before; for a block within one transaction.

    REASSIGN OWNED and DROP OWNED reach beyond the database they run in: to every database, since those are shared objects.
    """
    owned = connection.execute(
        "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s AND datname <> %s",
        (role, database),
    ).fetchall()
    # Through the administrator and back: its privileges are granted by nobody, so the role's cannot merge with them.
    for (name,) in owned:
        _hand_over(connection, name, ADMINISTRATOR)
    granted = connection.execute(
        "SELECT datname, privilege_type, is_grantable FROM pg_database, aclexplode(datacl)"
        " WHERE pg_get_userbyid(grantee) = %s AND datname <> %s",
        (role, database),
    ).fetchall()
    yield
    for name, privilege, is_grantable in granted:
        connection.execute(
            sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                sql.SQL(privilege),
                sql.Identifier(name),
                sql.Identifier(role),
                sql.SQL(" WITH GRANT OPTION" if is_grantable else ""),
            )
        )
    for (name,) in owned:
        _hand_over(connection, name, role)


def _hand_over(connection: Session, database: str, heir: str) -> None:
    connection.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), sql.Identifier(heir))
    )


def _owned_databases(connection: Session, role: str) -> list[str]:
    rows = connection.execute(
        "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s AND NOT datistemplate", (role,)
    ).fetchall()
    return [name for (name,) in rows if not is_system_database(name)]


def _databases_with_objects_of(connection: Session, role: str) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid"
        " JOIN pg_roles r ON r.oid = s.refobjid"
        " WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = %s",
        (role,),
    ).fetchall()
    return [name for (name,) in rows]
