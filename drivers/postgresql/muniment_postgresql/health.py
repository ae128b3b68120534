"""How the engine is, by a query; never an exception."""

import psycopg

from muniment.contract.guest import Host
from muniment.contract.messages import Health, HealthState
from muniment_postgresql.session import open_session

__all__ = ["POSTMASTER_FILE", "STOPPED_FILE", "probe"]

POSTMASTER_FILE = "postmaster.pid"
"""The engine writes it into its data directory when it starts and removes it when it stops cleanly."""
STOPPED_FILE = "stopped"
"""Beside the configuration: the engine was told to stop, and did. Its own file may be left of a stop that was cut off."""

_TIMEOUT_MS = 3000
_STARTING = "57P03"  # cannot_connect_now: starting up, shutting down or recovering
_QUERY = """
SELECT current_setting('server_version'),
       pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8
"""


def probe(host: Host) -> Health:
    """Ask the engine for its version; where it does not run, whether it was stopped or died."""
    if not host.runtime.server().running:
        return _absent(host)
    try:
        with open_session(host, timeout_ms=_TIMEOUT_MS) as connection:
            row = connection.execute(_QUERY).fetchone()
    except psycopg.Error as error:
        return _unwell(error)
    assert row is not None  # a SELECT without FROM has one row
    version, read_only, uptime_s = row
    # Packagers append their own words to the number.
    return Health(
        state=HealthState.HEALTHY,
        server_version=version.split()[0],
        read_only=read_only,
        uptime_s=uptime_s,
    )


def _absent(host: Host) -> Health:
    try:
        told = (host.config.outside / STOPPED_FILE).exists()
        died = not told and (host.data.outside / POSTMASTER_FILE).is_file()
    except OSError as error:
        return Health(state=HealthState.UNKNOWN, detail=f"its directories cannot be read: {error.strerror}")
    if not died:
        return Health(state=HealthState.STOPPED)
    return Health(state=HealthState.CRASHED, detail="the engine is gone without having been stopped")


def _unwell(error: psycopg.Error) -> Health:
    detail = error.diag.message_primary or str(error).strip()[-300:]
    if error.sqlstate == _STARTING or "starting up" in detail or "No such file" in detail:
        # libpq gives no SQLSTATE for a connection that was refused; before its socket is there the engine starts, too.
        return Health(state=HealthState.STARTING, detail=detail)
    return Health(state=HealthState.UNKNOWN, detail=detail)
