"""The settings file of an installation, as a whole."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from muniment.cloud.local.settings import LocalCloudSettings
from muniment.settings import read_settings
from muniment_api.gateway.settings import GatewaySettings
from muniment_api.settings import ApiSettings
from muniment_cli.data_directory import DATA_VARIABLE

__all__ = [
    "AgentSettings", "BackupSettings", "ListenSettings", "Settings", "agent_python", "first_settings_text",
    "load_settings",
]  # fmt: skip

HostPort = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^:\s/]+):\d{1,5}$", description="HOST:PORT, such as 127.0.0.1:8779"
    ),
]
Absolute = Annotated[
    str, msgspec.Meta(pattern=r"^/", description="a whole path that begins with /, such as /mnt/disk2")
]


class ListenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where we listen: for tenants, and for the agents of this machine."""

    api: HostPort = "127.0.0.1:8779"
    """Host and port of the REST API. `muniment up --api` writes it here."""
    gateway: HostPort = "127.0.0.1:8778"
    """Host and port that the agents of this machine talk to, in plain HTTP, so only a loopback address; a first start draws
    a free port. They learn of another one from a file."""
    certificate: Absolute | None = None
    """A PEM file; with it and `private_key` the API speaks TLS."""
    private_key: Absolute | None = None
    """The PEM file with the key of `certificate`."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key are given together or not at all")


class BackupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where backups lie; by default below the data directory. Another disk is wiser."""

    directory: Absolute | None = None
    """An existing directory; `muniment up --backups` writes it here at a first start. None: `backups` in the data directory."""


class AgentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What agents run on: the interpreter of an environment that holds the guest's packages."""

    python: Absolute | None = None
    """None: that of `.venv-guest` beside the environment of this program."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every section."""

    listen: ListenSettings = ListenSettings()
    backups: BackupSettings = BackupSettings()
    api: ApiSettings = ApiSettings()
    gateway: GatewaySettings = GatewaySettings()
    local: LocalCloudSettings = LocalCloudSettings()
    agent: AgentSettings = AgentSettings()


_OTHER_VARIABLES = frozenset({DATA_VARIABLE})
"""Variables with our prefix that override no key."""

_FIRST = """\
# Settings of this installation, read when `muniment up` starts. An environment variable overrides a key:
# MUNIMENT_LISTEN_API=127.0.0.1:9000 stands for `api` in [listen]. Unknown keys are errors.

[listen]
# Where tenants reach the REST API, and where the agents of this machine reach the gateway.
api = {api}
gateway = {gateway}

[backups]
# Where backups lie. Without it: in the data directory.
{backups}
"""


def load_settings(path: Path, environment: Mapping[str, str]) -> Settings:
    """The settings in force: the file's, overridden by the environment; raises Fault as `read_settings`."""
    return read_settings(path, Settings, environment, other_names=_OTHER_VARIABLES)


def agent_python(settings: Settings) -> Path:
    """The interpreter of the agents' environment: as the settings say, else the one that was made beside our own."""
    if settings.agent.python is not None:
        return Path(settings.agent.python)
    return Path(sys.prefix).parent / ".venv-guest" / "bin" / "python"


def first_settings_text(*, api: str, gateway: str, backups: str | None) -> str:
    """The file that a first start writes."""
    where = (
        '# directory = "/mnt/other-disk/muniment"' if backups is None else f"directory = {_quoted(backups)}"
    )
    return _FIRST.format(api=_quoted(api), gateway=_quoted(gateway), backups=where)


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's form is one."""
    return msgspec.json.encode(text).decode()
