"""A Python environment in which an agent finds a driver that no installed package brings: one of a test's own."""

import sys
import venv
from pathlib import Path
from typing import Final

from muniment.contract.kit.subject import Subject

__all__ = ["GROUP", "make_environment"]

GROUP: Final = "muniment.kit.drivers"
_PLUGIN: Final = "muniment_kit_driver"


def make_environment(folder: Path, subject: Subject) -> Path:
    """The interpreter of a fresh environment that sees what we see, and the subject's manifest as a driver.

    A path variable would not do: agents and jobs clear their environment.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    # addsitedir and not the bare path: packages installed for editing are found by files in there.
    seen = [f"import site; site.addsitedir({path!r})\n" for path in sys.path if Path(path).is_dir()]
    (packages / "kit.pth").write_text("".join(seen))
    assert subject.source is not None
    module, _, attribute = subject.source.partition(":")
    (packages / f"{_PLUGIN}.py").write_text(
        "from pkgutil import resolve_name\n"
        "from muniment.contract.hooks import hookimpl\n\n\n"
        "@hookimpl\n"
        "def muniment_register_drivers():\n"
        f"    return [resolve_name({f'{module}:{attribute}'!r})]\n"
    )
    information = packages / f"{_PLUGIN}-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_PLUGIN}\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[{GROUP}]\nsubject = {_PLUGIN}\n")
    return folder / "bin" / "python"
