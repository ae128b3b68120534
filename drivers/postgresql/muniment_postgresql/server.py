"""The engine's main process: how it is started, waited for and stopped."""

import contextlib
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host, Programs
from muniment.contract.messages import Health, HealthState
from muniment_postgresql import access, configuration, health
from muniment_postgresql.files import read_untrusted, write_config

__all__ = ["start", "stop"]

_SOCKET_PATH_BYTES_MAX = 107
_POLL_S = 0.03
_KILLED_ONE_GOES_S = 5.0
_KILLED_ONE_IS_THERE = (f'"{health.POSTMASTER_FILE}" already exists', "is still in use")
_OWN_WORDS = re.compile(
    r"^\d{4}-\d\d-\d\d [0-9:.]+ \S+ \[\d+\] ((?:LOG|WARNING|FATAL|PANIC):  .*)$", re.MULTILINE
)
"""Lines of the server's own processes: `log_line_prefix` names user and database in those of sessions."""


def start(
    host: Host, programs: Programs, *, limit_s: float, waiting: Callable[[float], None] = lambda seconds: None
) -> Health:
    """Start the engine where it does not run, and wait until it answers SQL.

    `waiting` is called with the seconds waited so far, about once a second.

    Raises:
        OpFailed: it exits while starting, or does not answer within the limit.
    """
    _check_socket_path(host)
    ends_s = time.monotonic() + _KILLED_ONE_GOES_S
    while True:
        if not host.runtime.server().running:
            access.write_access_rules(host)
            (host.config.outside / health.STOPPED_FILE).unlink(missing_ok=True)
            _forget_server_before_boot(host.data.outside / health.POSTMASTER_FILE)
            host.runtime.start_server(_argv(host, programs))
        try:
            return _wait_until_healthy(host, limit_s, waiting)
        except OpFailed:
            if time.monotonic() > ends_s or not _met_a_killed_one(host):
                raise
        time.sleep(_POLL_S)


def stop(host: Host, grace_s: float) -> Health:
    """Roll open transactions back, flush, exit; past the grace it is killed and recovers at the next start."""
    host.runtime.stop_server(signal=signal.SIGINT, grace_s=grace_s)
    if host.runtime.server().running:
        raise OpFailed(Code.TIMEOUT, "the engine did not exit", retryable=True)
    write_config(host, health.STOPPED_FILE, b"")
    return Health(state=HealthState.STOPPED)


def _argv(host: Host, programs: Programs) -> list[str]:
    config = host.config.inside
    settings = {
        "config_file": config / configuration.MAIN_FILE,
        "hba_file": config / access.HBA_FILE,
        "ident_file": config / access.IDENT_FILE,
        "unix_socket_directories": host.run.inside,
        "listen_addresses": host.address,
        "port": host.port,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [programs.path("bin/postgres"), "-D", str(host.data.inside), *options]


def _wait_until_healthy(host: Host, limit_s: float, waiting: Callable[[float], None]) -> Health:
    began = time.monotonic()
    told_s = 0.0
    while True:
        found = health.probe(host)
        waited_s = time.monotonic() - began
        if found.state is HealthState.HEALTHY and not found.read_only:
            return found
        state = host.runtime.server()
        if not state.running:
            raise OpFailed(Code.DB_REFUSED, f"the engine exited while it started: {_reason(state.log_tail)}")
        if waited_s >= limit_s:
            raise OpFailed(
                Code.TIMEOUT,
                f"the engine did not answer SQL within {limit_s:.0f} s: {found.detail}",
                retryable=True,
            )
        if waited_s - told_s >= 1:
            told_s = waited_s
            waiting(waited_s)
        time.sleep(_POLL_S)


def _met_a_killed_one(host: Host) -> bool:
    """Whether the engine gave up for the sake of one that was killed and is not quite gone: its process is not buried yet,
    or its children still use the data."""
    state = host.runtime.server()
    return not state.running and any(words in state.log_tail for words in _KILLED_ONE_IS_THERE)


def _reason(log: str) -> str:
    """The engine's last words about itself. What its sessions logged may be a tenant's statement, and goes nowhere."""
    words = _OWN_WORDS.findall(log)
    # What it died of comes before its farewell; the line before says what was wrong, where that sums up several.
    ends = [number for number, said in enumerate(words, 1) if said.startswith(("FATAL", "PANIC"))]
    end = ends[-1] if ends else len(words)
    return "; ".join(words[max(0, end - 2) : end])[-600:] or "its log says why"


def _check_socket_path(host: Host) -> None:
    path = f"{host.run.inside}/.s.PGSQL.{host.port}"
    if len(path.encode()) > _SOCKET_PATH_BYTES_MAX:
        raise OpFailed(
            Code.PRECONDITION_FAILED,
            f"the socket path {path} is longer than {_SOCKET_PATH_BYTES_MAX} bytes; use a shorter run directory",
        )


def _forget_server_before_boot(postmaster: Path) -> None:
    """Remove the engine's own pid file when the machine was booted after it was written.

    The engine trusts a pid that is alive, and after a reboot the number may belong to another server of the same user.
    Within one boot the file stays: it guards against processes of a killed server that still use the data.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        started_s = int(read_untrusted(postmaster).splitlines()[2])
        if started_s < _booted_at_s():
            postmaster.unlink()


def _booted_at_s() -> int:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
