"""Restores: the tar back into an empty data directory, proved by the manifest inside."""

import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Host, Programs
from muniment_postgresql import programs
from muniment_postgresql.data_directory import RESTORING, DataDirectory
from muniment_postgresql.locales import PROVIDERS
from muniment_postgresql.names import major

__all__ = ["restore", "wipe"]

_MANIFEST = "backup_manifest"
_COPY_BYTES = 1 << 20
_VERIFY_TIMEOUT_S = 3 * 3600


def restore(host: Host, stream: IO[bytes], *, server_version: str, facts: dict[str, str]) -> None:
    """Fill the data directory, prove it complete, flush it; `bootstrap` then adopts it and the engine recovers.

    Raises:
        OpFailed: `precondition_failed` for another major version or locale provider, or a directory that is not empty;
            `integrity_failed` for bytes that are not a whole backup.
    """
    found = programs.find(host)
    _check_fits(programs.server_version(host, found), server_version, facts)
    data = DataDirectory(host)
    data.begin(RESTORING)
    _unpack(stream, data.path)
    data.hand_over()
    _verify(host, found)
    # The configuration is ours alone; a file of settings that came along would win over it.
    (data.path / "postgresql.auto.conf").unlink(missing_ok=True)
    (data.path / _MANIFEST).unlink()
    data.finish(found)


def wipe(host: Host) -> None:
    """Empty the data directory; refused while the engine runs on it."""
    if host.runtime.server().running:
        raise OpFailed(Code.PRECONDITION_FAILED, "the engine runs: its data directory is not wiped")
    DataDirectory(host).wipe()


def _check_fits(here: str, server_version: str, facts: dict[str, str]) -> None:
    if major(here) != major(server_version):
        raise OpFailed(
            Code.PRECONDITION_FAILED,
            f"a backup of PostgreSQL {server_version} is not for a server {here}: the major version must be the same",
        )
    provider = facts.get("locale_provider", "")
    if provider not in PROVIDERS:
        raise OpFailed(
            Code.PRECONDITION_FAILED,
            f"the backup's locale provider {provider!r} is none of {', '.join(sorted(PROVIDERS))}",
        )


def _unpack(stream: IO[bytes], folder: Path) -> None:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                _unpack_member(archive, member, folder)
    except (tarfile.TarError, EOFError) as error:
        raise OpFailed(Code.INTEGRITY_FAILED, f"the backup is not a whole tar: {error}") from None
    except OSError as error:
        raise OpFailed(
            Code.STORAGE_UNAVAILABLE, f"unpacking the backup failed: {error.strerror}", retryable=True
        ) from None


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Unpack a file or a directory below `folder`.

    What else a tar can hold (links, devices) is in no backup without tablespaces, so nothing unpacked here can be a link
    that leads a later member astray. Owners and modes of the archive are ignored.
    """
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise OpFailed(
            Code.INTEGRITY_FAILED, f"the backup holds a path that leads out of it: {member.name!r}"
        )
    path = folder / name
    if member.isdir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif member.isreg():
        content = archive.extractfile(member)
        assert content is not None  # a regular member
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(content, file, _COPY_BYTES)
    else:
        raise OpFailed(Code.INTEGRITY_FAILED, f"the backup holds {member.name!r}, no file and no directory")


def _verify(host: Host, found: Programs) -> None:
    if not (host.data.outside / _MANIFEST).is_file():
        raise OpFailed(Code.INTEGRITY_FAILED, f"the backup ends before its {_MANIFEST}")
    argv = [
        found.path("bin/pg_verifybackup"),
        "--exit-on-error",
        f"--ignore={RESTORING}",
        str(host.data.inside),
    ]
    ended = host.runtime.run(argv, timeout_s=_VERIFY_TIMEOUT_S)
    if ended.code != 0:
        words = (ended.stderr.strip() or ended.stdout.strip())[-500:]
        raise OpFailed(Code.INTEGRITY_FAILED, f"pg_verifybackup ended with {ended.code}: {words}")
