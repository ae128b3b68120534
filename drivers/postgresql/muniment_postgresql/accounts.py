"""Accounts: roles that can log in, with verifiers instead of passwords, and the databases shared with them."""

from collections.abc import Sequence

from psycopg import sql

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host
from muniment.contract.ops import Account, Accounts, AlterUser, Page, UserSpec, UserView
from muniment.secret import Secret
from muniment_postgresql import names, ownership
from muniment_postgresql.session import Session, session
from muniment_postgresql.verifier import verifier

__all__ = ["alter_user", "create_user", "drop_user", "get_user", "grant", "list_users", "revoke"]

_VIEW = """
SELECT r.rolname, coalesce((
    SELECT array_agg(d.datname::text ORDER BY d.datname COLLATE "C")
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_database d ON g.rolname = %(prefix)s || d.oid
    WHERE m.member = r.oid), '{}')
FROM pg_roles r
WHERE r.rolcanlogin AND r.rolname <> ALL (%(hidden)s) AND NOT starts_with(r.rolname, 'pg_')
"""
_LIST = (
    _VIEW
    + ' AND (%(marker)s::text IS NULL OR r.rolname > %(marker)s COLLATE "C") ORDER BY r.rolname COLLATE "C" LIMIT %(limit)s'
)
_FILTER = {"prefix": names.GROUP_PREFIX, "hidden": list(names.SYSTEM_ROLES)}
_RENAMED = "renamed by Muniment from "


def list_users(host: Host, page: Page) -> Accounts:
    """A page; the marker is a name, also in the form `name@%`."""
    marker = page.marker.removesuffix("@%") if page.marker is not None else None
    with session(host) as connection:
        rows = connection.execute(_LIST, _FILTER | {"marker": marker, "limit": page.limit + 1}).fetchall()
    return Accounts(items=tuple(_view(*row) for row in rows[: page.limit]), more=len(rows) > page.limit)


def get_user(host: Host, account: Account) -> UserView:
    """One account and its databases."""
    role = names.account_name(account)
    with session(host) as connection:
        row = connection.execute(_VIEW + " AND r.rolname = %(role)s", _FILTER | {"role": role}).fetchone()
    if row is None:
        raise _unknown(role)
    return _view(*row)


def create_user(host: Host, user: UserSpec, password: Secret) -> None:
    """Have the account, all of it or nothing."""
    role = names.check_new_account(user.account).name
    with session(host) as connection, connection.transaction():
        verb = "ALTER" if _exists(connection, role) else "CREATE"
        connection.execute(
            sql.SQL(verb + " ROLE {} WITH LOGIN PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(verifier(connection, role, password))
            )
        )
        _forget_renaming_from(connection, role)
        for database in user.databases:
            ownership.share(connection, database, role)


def alter_user(host: Host, change: AlterUser, password: Secret | None) -> None:
    """Rename the account or change its password, both or nothing."""
    role = names.account_name(change.account)
    wanted = Account(name=change.new_name or role, host=change.new_host)
    new_role = names.check_new_account(wanted).name if wanted.name != role else names.account_name(wanted)
    with session(host) as connection, connection.transaction():
        _rename(connection, role, new_role)
        if password is not None:
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(new_role), sql.Literal(verifier(connection, new_role, password))
                )
            )


def drop_user(host: Host, account: Account) -> None:
    """Have it gone; what it owns stays with the databases."""
    ownership.remove_role(host, names.account_name(account))


def grant(host: Host, account: Account, databases: Sequence[str]) -> None:
    """Make it an owner of these databases, of all or of none."""
    role = names.account_name(account)
    with session(host) as connection, connection.transaction():
        if not _exists(connection, role):
            raise _unknown(role)
        for database in databases:
            ownership.share(connection, database, role)


def revoke(host: Host, account: Account, database: str) -> None:
    """Take one database away; one that is not there was taken already."""
    role = names.account_name(account)
    with session(host) as connection:
        if not _exists(connection, role):
            raise _unknown(role)
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
    if known is not None and not names.is_system_database(database):
        ownership.unshare(host, database, role)


def _rename(connection: Session, role: str, new_role: str) -> None:
    """Give a role another name.

    The new role carries the old name as a remark: when a crash hid the answer and the op comes again, the remark tells an
    account that was renamed from one that only has the name asked for.
    """
    exists = _exists(connection, role)
    if role == new_role or (not exists and _is_renamed_from(connection, new_role, role)):
        if role == new_role and not exists:
            raise _unknown(role)
        return
    if not exists:
        raise _unknown(role)
    if _exists(connection, new_role):
        raise OpFailed(Code.ALREADY_EXISTS, f"there is a user {new_role!r} already")
    renamed = {"old": sql.Identifier(role), "new": sql.Identifier(new_role)}
    connection.execute(sql.SQL("ALTER ROLE {old} RENAME TO {new}").format(**renamed))
    connection.execute(
        sql.SQL("COMMENT ON ROLE {} IS {}").format(renamed["new"], sql.Literal(_RENAMED + role))
    )


def _is_renamed_from(connection: Session, role: str, former: str) -> bool:
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()
    return row is not None and row[0] == _RENAMED + former


def _forget_renaming_from(connection: Session, role: str) -> None:
    """A new account has taken the name: another's remark about it is out of date."""
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s", (_RENAMED + role,)
    ).fetchall()
    for (other,) in rows:
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS NULL").format(sql.Identifier(other)))


def _exists(connection: Session, role: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None


def _unknown(role: str) -> OpFailed:
    return OpFailed(Code.NOT_FOUND, f"there is no user {role!r}")


def _view(name: str, databases: list[str]) -> UserView:
    return UserView(account=Account(name=name), databases=tuple(databases))
