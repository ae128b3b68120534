"""The initialised data directory that every new instance starts as a copy of.

`initdb` takes most of a cold start and, run by root's engine users, a name in the passwd file, which they do not have. So it
runs once per server version, image and set of options, as `nobody` where it must, into the cache; no secret and no tenant's
role is in what it makes.
"""

import hashlib
import os
import pwd
import shutil
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host, Programs
from muniment_postgresql.files import own_tree
from muniment_postgresql.locales import CLUSTER_OPTIONS
from muniment_postgresql.names import ADMINISTRATOR
from muniment_postgresql.programs import server_version

__all__ = ["template"]

_OPTIONS = (
    f"--username={ADMINISTRATOR}",
    "--auth=reject",  # of its own access file, which we never use
    "--data-checksums",
    "--no-instructions",
    "--no-sync",  # the copy is flushed, not this
    *CLUSTER_OPTIONS,
)
_NAMED_USER = "nobody"
_TIMEOUT_S = 300


def template(host: Host, programs: Programs) -> Path:
    """The directory to copy, made now where it was not yet.

    Two instances may make it at the same time: each builds aside and renames, and the second finds the first one's.
    """
    # Of each image one: another build of the same version may have other libraries for sorting text.
    made_by = (*_OPTIONS, programs.image_digest or "")
    digest = hashlib.sha256("\0".join(made_by).encode()).hexdigest()[:12]
    # An image is known by its digest; asking its programs for their version would take a container, half a second.
    made_in = "image" if programs.image_digest else server_version(host, programs)
    finished = host.cache.outside / f"postgresql-{made_in}-{digest}"
    if not finished.is_dir():
        _make(host, programs, finished)
    return finished


def _make(host: Host, programs: Programs, finished: Path) -> None:
    building = Path(mkdtemp(dir=host.cache.outside, prefix=f".{finished.name}."))
    try:
        _initdb(host, programs, building)
        # From here on nobody but us can change it: other programs of the machine run as `nobody` too.
        own_tree(building, os.geteuid(), os.getegid())
        try:
            (building / "data").rename(finished)
        except OSError:
            if not finished.is_dir():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _initdb(host: Host, programs: Programs, building: Path) -> None:
    as_user = _user_with_a_name(host)
    if as_user == _NAMED_USER:
        entry = pwd.getpwnam(_NAMED_USER)
        os.chown(building, entry.pw_uid, entry.pw_gid)
    else:
        host.give_to_engine(building)
    inside: PurePosixPath = host.cache.inside / building.name / "data"
    argv = [programs.path("bin/initdb"), *_OPTIONS, f"--pgdata={inside}"]
    ended = host.runtime.run(argv, timeout_s=_TIMEOUT_S, as_user=as_user)
    if ended.code != 0:
        raise OpFailed(
            Code.INTERNAL, f"initdb ended with {ended.code}: {ended.stderr.strip()[-500:]}", retryable=True
        )


def _user_with_a_name(host: Host) -> str | None:
    """As whom `initdb` can run: the engine's user when it has a name, else `nobody` if we may become that."""
    if host.user.name is not None:
        return None
    if os.geteuid() == 0:
        return _NAMED_USER
    raise OpFailed(
        Code.PRECONDITION_FAILED,
        f"the uid {host.user.uid} has no name in the passwd file, and PostgreSQL cannot be initialised without one",
    )
