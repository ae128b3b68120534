"""Programs of an engine that are on this machine: installed, or from a Python package, where the engine's user can run them."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Sources, Wheel

__all__ = ["closed_to", "installed_prefix", "programs_of"]


def programs_of(wheel: Wheel, *, copies: Path | None) -> Path:
    """The folder that holds `bin`: in the environment itself, or, given `copies`, in a copy that every user can read.

    The copy is made once per version of the package: aside, then renamed, so that several instances may do it at once.

    Raises:
        OpFailed: `image_unavailable`.
    """
    try:
        found = distribution(wheel.distribution)
    except PackageNotFoundError as error:
        message = f"the Python package {wheel.distribution} is not installed in the agent's environment"
        raise OpFailed(Code.IMAGE_UNAVAILABLE, message) from error
    site = Path(str(found.locate_file("")))
    home = site if copies is None else _copy(wheel, site, copies / f"{wheel.distribution}-{found.version}")
    programs = home / wheel.package / wheel.prefix
    if not (programs / "bin").is_dir():
        raise OpFailed(
            Code.IMAGE_UNAVAILABLE, f"{wheel.distribution} {found.version} holds no {wheel.prefix}/bin"
        )
    return programs


def installed_prefix(sources: Sources) -> PurePosixPath | None:
    """The first place where a package of the system put the programs; None where there is none."""
    for prefix in sources.installed:
        if os.access(Path(prefix) / sources.server, os.X_OK):
            return PurePosixPath(prefix)
    return None


def closed_to(uid: int, gid: int, path: Path) -> Path | None:
    """The first directory on the way to `path`, or `path` itself, that this user may not pass; None when the way is open."""
    for place in (*reversed(path.parents), path):
        stat = place.stat()
        mode = stat.st_mode
        bits = mode >> 6 if stat.st_uid == uid else mode >> 3 if stat.st_gid == gid else mode
        if not bits & 0o1:
            return place
    return None


def _copy(wheel: Wheel, site: Path, home: Path) -> Path:
    if home.is_dir():
        return home
    draft = home.with_name(f".{home.name}.{os.getpid()}")
    try:
        for name in (wheel.package, *wheel.siblings):
            shutil.copytree(site / name, draft / name, symlinks=True)
        _open_to_all(draft)
        draft.rename(home)
    except OSError as error:
        if not home.is_dir():  # else another instance was faster, which is as good
            raise OpFailed(
                Code.IMAGE_UNAVAILABLE, f"copying {wheel.distribution}: {error.strerror}"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return home


def _open_to_all(tree: Path) -> None:
    """Readable for everybody, executable where the owner may execute."""
    for folder, folders, files in os.walk(tree):
        os.chmod(folder, 0o755)  # noqa: S103 - programs that every engine's user is to run
        for name in (*folders, *files):
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
