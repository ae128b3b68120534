"""Backups: pg_basebackup's tar as it flows, with the log that makes it consistent at its end.

The tool's own manifest (`backup_manifest`, SHA-256 of every file) is the last file of the tar; `restore.py` proves the
restored directory with it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import BackupFacts, BackupSource, Host, Pipe
from muniment_postgresql import programs
from muniment_postgresql.names import ADMINISTRATOR
from muniment_postgresql.session import Session, session

__all__ = ["open_backup"]

_FACTS = """
SELECT current_setting('server_version') AS server_version,
       current_setting('block_size') AS block_size,
       current_setting('wal_segment_size') AS wal_segment_size,
       current_setting('data_checksums') AS data_checksums,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       pg_encoding_to_char(encoding)::text AS encoding,
       CASE datlocprovider WHEN 'b' THEN 'builtin' WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END AS locale_provider,
       coalesce(datlocale, datcollate) AS locale
FROM pg_database WHERE datname = 'template0'
"""
_ESTIMATE = "SELECT sum(pg_database_size(oid))::int8 + pg_size_bytes(current_setting('max_wal_size')) / 4 FROM pg_database"
_POSITION = re.compile(r"write-ahead log (start|end) point: ([0-9A-F]+/[0-9A-F]+)")


class _BaseBackup:
    def __init__(self, pipe: Pipe, facts: dict[str, str], estimated_bytes: int) -> None:
        self._pipe = pipe
        self._facts = facts
        self.tool = f"pg_basebackup {facts['server_version']}"
        self.stream: IO[bytes] = pipe.stream
        self.estimated_bytes = estimated_bytes

    def finish(self) -> BackupFacts:
        """Judge the tool's exit code; its messages name the positions."""
        ended = self._pipe.finish()
        if ended.code != 0:
            words = ended.stderr.strip()[-500:]
            damaged = "checksum" in words
            raise OpFailed(
                Code.INTEGRITY_FAILED if damaged else Code.DB_REFUSED,
                f"pg_basebackup ended with {ended.code}: {words}",
                retryable=not damaged,
            )
        positions = dict(_POSITION.findall(ended.stderr))
        return BackupFacts(
            start_position=positions.get("start", ""),
            end_position=positions.get("end", ""),
            server_version=self._facts["server_version"],
            facts=self._facts,
        )


@contextmanager
def open_backup(host: Host, method: str) -> Iterator[BackupSource]:
    """Start the tool and hold the log that it will fetch at the end."""
    if method != "full":
        raise OpFailed(Code.UNSUPPORTED, f"there is no backup method {method!r}")
    tool = programs.find(host).path("bin/pg_basebackup")
    argv = [
        tool,
        f"--host={host.run.inside}",
        f"--port={host.port}",
        f"--username={ADMINISTRATOR}",
        "--no-password",
        "--pgdata=-",
        "--format=tar",
        "--wal-method=fetch",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--label=muniment",
        "--verbose",
    ]
    with session(host) as connection:
        _refuse_tablespaces(connection)
        facts = _facts(connection)
        row = connection.execute(_ESTIMATE).fetchone()
        assert row is not None
        _hold_log(connection)
        with host.runtime.read_from(argv) as pipe:
            yield _BaseBackup(pipe, facts, int(row[0]))


def _hold_log(connection: Session) -> None:
    """Keep the server from recycling its log from here on, until this session ends, however it ends.

    Without it a long backup under write load fails at its very end, when the log it began with is gone.
    """
    connection.execute(
        "SELECT pg_create_physical_replication_slot('muniment_backup_' || pg_backend_pid(), true, true)"
    )


def _refuse_tablespaces(connection: Session) -> None:
    rows = connection.execute("SELECT spcname FROM pg_tablespace WHERE spcname !~ '^pg_'").fetchall()
    if rows:
        named = ", ".join(name for (name,) in rows)
        raise OpFailed(
            Code.PRECONDITION_FAILED,
            f"the tablespaces {named} lie outside of the volume; move their tables and drop them before a backup",
        )


def _facts(connection: Session) -> dict[str, str]:
    cursor = connection.execute(_FACTS)
    row = cursor.fetchone()
    assert row is not None
    assert cursor.description is not None
    facts = {column.name: str(value) for column, value in zip(cursor.description, row, strict=True)}
    return facts | {"server_version": facts["server_version"].split()[0]}
