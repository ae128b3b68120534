"""The tenant's superuser `root`: over TCP with its password, never over the socket."""

from psycopg import sql

from muniment.contract.guest import Host
from muniment.contract.ops import SuperuserState
from muniment.secret import Secret
from muniment_postgresql.names import SUPERUSER
from muniment_postgresql.ownership import end_sessions
from muniment_postgresql.session import Session, session
from muniment_postgresql.verifier import verifier

__all__ = ["disable_superuser", "enable_superuser", "superuser_status"]

_ROLE = sql.Identifier(SUPERUSER)


def enable_superuser(host: Host, password: Secret) -> SuperuserState:
    """Have it, with this password; called again it gets the new one."""
    with session(host) as connection:
        verb = "CREATE" if _find(connection) is None else "ALTER"
        connection.execute(
            sql.SQL(verb + " ROLE {} WITH SUPERUSER LOGIN PASSWORD {}").format(
                _ROLE, sql.Literal(verifier(connection, SUPERUSER, password))
            )
        )
        return SuperuserState(enabled=True)


def disable_superuser(host: Host) -> SuperuserState:
    """Lock it: no login, no power, no password, no session. What it owns stays with it for the next time."""
    with session(host) as connection:
        if _find(connection) is not None:
            connection.execute(sql.SQL("ALTER ROLE {} WITH NOLOGIN NOSUPERUSER PASSWORD NULL").format(_ROLE))
            end_sessions(connection, SUPERUSER)
        return SuperuserState(enabled=False)


def superuser_status(host: Host) -> SuperuserState:
    """Whether it can log in as a superuser."""
    with session(host) as connection:
        return SuperuserState(enabled=bool(_find(connection)))


def _find(connection: Session) -> bool | None:
    """Whether it is enabled; None where there is no such role."""
    row = connection.execute(
        "SELECT rolsuper AND rolcanlogin FROM pg_roles WHERE rolname = %s", (SUPERUSER,)
    ).fetchone()
    return None if row is None else bool(row[0])
