"""Databases: made closed, listed without the system's, dropped with their group."""

import psycopg
from psycopg import sql

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host
from muniment.contract.ops import Databases, DatabaseSpec, Page
from muniment_postgresql import names, ownership
from muniment_postgresql.locales import Locale, locale_of
from muniment_postgresql.session import Session, session

__all__ = ["create_database", "drop_database", "list_databases"]

_LIST = """
SELECT datname, pg_encoding_to_char(encoding), coalesce(datlocale, datcollate) FROM pg_database
WHERE NOT datistemplate AND datname <> ALL (%(hidden)s) AND (%(marker)s::text IS NULL OR datname > %(marker)s COLLATE "C")
ORDER BY datname COLLATE "C" LIMIT %(limit)s
"""


def list_databases(host: Host, page: Page) -> Databases:
    """A page, with one row read beyond it to know whether there is more."""
    values = {"hidden": list(names.SYSTEM_DATABASES), "marker": page.marker, "limit": page.limit + 1}
    with session(host) as connection:
        rows = connection.execute(_LIST, values).fetchall()
    items = tuple(
        DatabaseSpec(name=name, character_set=encoding, collate=collation)
        for name, encoding, collation in rows[: page.limit]
    )
    return Databases(items=items, more=len(rows) > page.limit)


def create_database(host: Host, database: DatabaseSpec) -> None:
    """Have it with the locale asked for, owned by its group and closed to everyone else."""
    names.check_new_database(database.name)
    wanted = locale_of(database)
    with session(host) as connection:
        found = _locale_in_use(connection, database.name)
        if found is None:
            _create(connection, database.name, wanted)
        elif not _satisfies(found, wanted, database):
            raise OpFailed(
                Code.ALREADY_EXISTS,
                f"the database {database.name!r} exists with {found.encoding} and {found.collation}",
            )
        with connection.transaction():
            ownership.ensure_group(connection, database.name)


def drop_database(host: Host, name: str) -> None:
    """Have it and its group gone, open connections ended."""
    if names.is_system_database(name):
        raise OpFailed(Code.INVALID_ARGUMENT, f"the database {name!r} is the engine's own")
    with session(host) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    ownership.remove_stray_groups(host)


def _create(connection: Session, name: str, locale: Locale) -> None:
    # template0, so that nothing a superuser put into template1 can get in the way of the encoding.
    statement = sql.SQL(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE_PROVIDER builtin BUILTIN_LOCALE {}"
    ).format(sql.Identifier(name), sql.Literal(locale.encoding), sql.Literal(locale.collation))
    try:
        connection.execute(statement)
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        # Our own earlier try, cut off by a crash, was still at work on the server a moment ago.
        raise OpFailed(
            Code.CONFLICT, f"the database {name!r} is being created already", retryable=True
        ) from None


def _locale_in_use(connection: Session, name: str) -> Locale | None:
    row = connection.execute(
        "SELECT pg_encoding_to_char(encoding), coalesce(datlocale, datcollate) FROM pg_database WHERE datname = %s",
        (name,),
    ).fetchone()
    return None if row is None else Locale(*row)


def _satisfies(found: Locale, wanted: Locale, database: DatabaseSpec) -> bool:
    """Whether an existing database has what was asked for; what was left open may be anything."""
    return (database.character_set is None or found.encoding == wanted.encoding) and (
        database.collate is None or found.collation == wanted.collation
    )
