"""Where things lie on this server: the file that its creator wrote, and what follows from it."""

import os
from pathlib import Path

import msgspec

from muniment.contract.server_config import AGENT_LOCK, ServerConfig, decode_server_config
from muniment.fault import Fault
from muniment_guest.files import ensure_directory

__all__ = ["Layout", "read_config"]

_SOCKET_DIRECTORY_BYTES_MAX = 64


class Layout:
    """Paths of one agent; `make` has the directories there."""

    def __init__(self, config: ServerConfig, config_file: Path) -> None:
        """Derive all paths from the configuration; touches nothing."""
        self.config = config
        self.config_file = config_file
        self.state = Path(config.state_dir)
        self.logs = Path(config.log_dir)
        self.run = Path(config.run_dir)
        self.cache = Path(config.cache_dir)
        self.engine_config = self.state / "config"
        self.jobs = self.state / "jobs"
        self.journal = self.state / "journal"
        self.token = Path(config.token_file)
        self.lock = self.state / AGENT_LOCK
        self.engine_pid = self.state / "engine.json"
        self.prepared = self.state / "volume.json"
        self.format_note = self.state / "formatting"
        self.engine_log = self.logs / "engine.log"
        self.agent_log = self.logs / "agent.log"
        self.job_log = self.logs / "jobs.log"

    @property
    def engine(self) -> tuple[int, int] | None:
        """Uid and gid of the engine where they are others than the agent's own."""
        uid, gid = self.config.engine_uid, self.config.engine_gid
        if uid is None or gid is None or uid == os.geteuid():
            return None
        return uid, gid

    def make(self) -> None:
        """Have the directories that are not on the volume, each as open as the engine's user needs it.

        Raises:
            Fault: one cannot be made.
        """
        passed_by_engine = 0o700 if self.engine is None else 0o711
        try:
            ensure_directory(self.state, passed_by_engine)
            ensure_directory(self.engine_config, passed_by_engine)
            for private in (self.jobs, self.journal, self.logs):
                ensure_directory(private)
            self.cache.mkdir(mode=0o711, parents=True, exist_ok=True)
            ensure_directory(self.run)
            if self.engine is not None:
                os.chown(self.run, *self.engine)
        except OSError as error:
            raise Fault("agent", f"{error.filename} cannot be made: {error.strerror}") from error


def read_config(path: Path) -> ServerConfig:
    """Read and check the configuration file.

    Raises:
        Fault: it is not there, not well formed, or says something that cannot work.
    """
    try:
        config = decode_server_config(path.read_bytes())
    except OSError as error:
        raise Fault("agent", f"{path} cannot be read: {error.strerror}", retryable=False) from error
    except msgspec.MsgspecError as error:
        raise Fault("agent", f"{path}: {error}", retryable=False) from error
    _check(config, path)
    return config


def _check(config: ServerConfig, path: Path) -> None:
    for name in (
        "token_file",
        "gateway_file",
        "volume_device",
        "mount_point",
        "run_dir",
        "state_dir",
        "log_dir",
        "cache_dir",
    ):
        if not os.path.isabs(getattr(config, name)):
            raise Fault("agent", f"{path}: {name} must be an absolute path", retryable=False)
    if len(os.fsencode(config.run_dir)) > _SOCKET_DIRECTORY_BYTES_MAX:
        message = (
            f"{path}: run_dir has more than {_SOCKET_DIRECTORY_BYTES_MAX} bytes, too many for sockets in it"
        )
        raise Fault("agent", message, retryable=False)
    if (config.engine_uid is None) != (config.engine_gid is None):
        raise Fault("agent", f"{path}: engine_uid and engine_gid belong together", retryable=False)
    if config.engine_uid not in (None, os.geteuid()) and os.geteuid() != 0:
        raise Fault("agent", f"{path}: only root can run the engine as another user", retryable=False)
