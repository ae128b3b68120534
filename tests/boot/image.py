"""The image of a machine: Debian with systemd, a user called alice, and a checkout with `make install` done in it."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tests.boot.docker import docker

__all__ = ["CHECKOUT", "OURS", "USER", "built_image"]

CHECKOUT = "/opt/our muniment"
"""Where the checkout lies in the image: a path with a blank, since people have such."""
USER = "alice"
_LABEL = "muniment-boot"
OURS = ("--filter", f"label={_LABEL}")
"""Arguments that list what is ours; machines have the label from their image."""

_SUITE = "bookworm"
_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "procps", "util-linux", "mount", "xfsprogs",
    "python3", "python3-venv", "make", "ca-certificates",
)  # fmt: skip
_INIT = """\
#!/bin/sh
# A container is given the control groups read-only, and of the old kind where the host has those. A machine has a tree of
# the new kind that is its own to change.
umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec /sbin/init
"""
_PASSED_ON = (
    "PIP_",
    "UV_",
    "SSL_CERT_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
"""Variables by which this machine finds packages. `make install` runs with them; the image keeps none."""
_MOUNTED = ("PIP_CERT", "PIP_CONFIG_FILE", "PIP_FIND_LINKS", "SSL_CERT_FILE", "UV_CONFIG_FILE")
"""Those of them that name files."""


@contextmanager
def built_image(checkout: Path) -> Iterator[str]:
    """An image with a checkout as it is, what is not committed too; removed afterwards.

    Raises:
        RuntimeError: it cannot be made.
    """
    mark = uuid4().hex[:8]
    base, image = f"muniment-boot-{mark}:base", f"muniment-boot-{mark}:installed"
    try:
        with tempfile.TemporaryDirectory(prefix="muniment-boot-") as folder:
            docker("import", f"--change=LABEL {_LABEL}=1", str(_debian(Path(folder))), base)
            _install(base, image, _pack(checkout, Path(folder)))
        yield image
    finally:
        for name in (image, base):
            with suppress(RuntimeError):  # it was never made
                docker("image", "rm", "--force", name)


def _debian(folder: Path) -> Path:
    """A root file system from Debian's packages: no registry of images is needed."""
    root = folder / "debian.tar"
    _run(
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(_PACKAGES)}",
        '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Check-Valid-Until "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{place}/*" for place in ("doc", "man", "locale")), _SUITE, str(root),
    )  # fmt: skip
    return root


def _pack(checkout: Path, folder: Path) -> Path:
    """The files that git knows or would add."""
    names = _run("git", "-C", str(checkout), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    there = [name for name in names.split("\0") if name and (checkout / name).exists()]
    listed, packed = folder / "files", folder / "checkout.tar"
    listed.write_text("\0".join(there))
    _run("tar", "-C", str(checkout), "--null", "--no-recursion", f"--files-from={listed}", "-cf", str(packed))
    return packed


def _install(base: str, image: str, packed: Path) -> None:
    workshop = docker("run", "--detach", "--network=host", *_mounts(), base, "sleep", "infinity")
    try:
        init = packed.with_name("init")
        init.write_text(_INIT)
        docker("exec", "-i", workshop, "sh", "-c", "cat >/init && chmod 755 /init", stdin=init)
        docker("exec", workshop, "useradd", "--create-home", "--shell=/bin/bash", USER)
        docker("exec", workshop, "mkdir", "-p", CHECKOUT)
        docker("exec", "-i", workshop, "tar", "-x", "--no-same-owner", "-C", CHECKOUT, stdin=packed)
        variables = [f"--env={name}" for name in os.environ if name.startswith(_PASSED_ON)]
        docker("exec", *variables, "--workdir", CHECKOUT, workshop, "make", "install")
        docker("commit", workshop, image)
    finally:
        docker("rm", "--force", "--volumes", workshop)


def _mounts() -> list[str]:
    """Arguments that lend a container the files by which this machine finds packages."""
    places = {os.environ[name] for name in _MOUNTED if name in os.environ} | {"/etc/pip.conf", "/etc/uv"}
    there = sorted(place for place in places if Path(place).is_absolute() and Path(place).exists())
    return [word for place in there for word in ("--volume", f"{place}:{place}:ro")]


def _run(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()[-3000:]}")
    return done.stdout
