"""The agent's own SQL sessions: over the socket, as the bootstrap superuser, by peer credentials."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host
from muniment_postgresql.names import ADMINISTRATOR

__all__ = ["Session", "open_session", "session"]

Session = psycopg.Connection[TupleRow]

_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT_MS = 50_000  # below the 60 s of an act, so that the answer says what took too long
_SETTINGS = {
    # A tenant owns its databases: with their objects in the path an operator or a function of theirs could run with our
    # rights, and settings that they attached to the database would hold for us.
    "search_path": "pg_catalog",
    "role": "none",
    "default_transaction_read_only": "off",
    "lock_timeout": "20000",
    # Not even a verifier gets into the engine's log.
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
}
_CODES = {
    "53100": Code.RESOURCE_EXHAUSTED,  # disk full
    "53200": Code.RESOURCE_EXHAUSTED,  # out of memory
    "53300": Code.RESOURCE_EXHAUSTED,  # too many connections
    "55P03": Code.TIMEOUT,  # lock not available
    "57014": Code.TIMEOUT,  # cancelled by statement_timeout
}
_RETRYABLE = frozenset({Code.RESOURCE_EXHAUSTED, Code.TIMEOUT})


def open_session(
    host: Host, database: str = "postgres", *, timeout_ms: int = _STATEMENT_TIMEOUT_MS
) -> Session:
    """Connect, every statement its own transaction; raises psycopg.OperationalError when nobody answers."""
    settings = _SETTINGS | {"statement_timeout": str(timeout_ms)}
    return psycopg.connect(
        host=str(host.run.outside),
        port=host.port,
        user=ADMINISTRATOR,
        dbname=database,
        autocommit=True,
        connect_timeout=_CONNECT_TIMEOUT_S,
        application_name="muniment agent",
        options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
    )


@contextmanager
def session(host: Host, database: str = "postgres") -> Iterator[Session]:
    """A session for one op; what the engine refuses inside becomes `OpFailed`, in the engine's words."""
    try:
        connection = open_session(host, database)
    except psycopg.OperationalError as error:
        raise OpFailed(
            Code.PRECONDITION_FAILED, f"the engine does not answer: {_words(error)}", retryable=True
        ) from None
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        code = _CODES.get(error.sqlstate or "", Code.DB_REFUSED)
        # A connection that broke has no SQLSTATE: the engine went away, and trying again makes sense.
        retryable = code in _RETRYABLE or error.sqlstate is None
        raise OpFailed(code, _words(error), retryable=retryable) from None


def _words(error: psycopg.Error) -> str:
    """The message without the statement, whose literals might be verifiers."""
    return error.diag.message_primary or str(error).strip().splitlines()[0]
