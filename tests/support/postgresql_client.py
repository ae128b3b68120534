"""A tenant of PostgreSQL, for the conformance kit."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from muniment.contract.kit.client import Login, LoginRefused


class PostgresqlClient:
    """See `muniment.contract.kit.client.Client`."""

    def store(self, login: Login, word: str) -> None:
        """In a table of its own, made by whoever comes first."""
        with _connected(login) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kit_words (word text)")
            connection.execute("INSERT INTO kit_words VALUES (%s)", (word,))

    def words(self, login: Login) -> list[str]:
        """All words, sorted."""
        with _connected(login) as connection:
            if connection.execute("SELECT to_regclass('kit_words')").fetchone() == (None,):
                return []
            rows = connection.execute("SELECT word FROM kit_words ORDER BY word").fetchall()
            return [word for (word,) in rows]

    def is_superuser(self, login: Login) -> bool:
        """By the engine's own word."""
        with _connected(login) as connection:
            row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
            return row == (True,)


@contextmanager
def _connected(login: Login) -> Iterator[psycopg.Connection[TupleRow]]:
    try:
        connection = psycopg.connect(
            host=login.address,
            port=login.port,
            user=login.account,
            password=login.password.reveal_text(),
            dbname=login.database or "postgres",
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise LoginRefused(str(error)) from None
    with connection:
        yield connection
