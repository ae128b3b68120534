"""What `muniment doctor` finds on a machine, with an installation or before its first start."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from muniment.cloud.local.backups_mark import BackupsMark
from muniment.cloud.local.mounts import can_mount_images
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.contract.registry import Registry
from muniment.fault import Fault
from muniment_cli.commands.finding import Finding, Verdict
from muniment_cli.data_directory import DataDirectory
from muniment_cli.failure import BadInput
from muniment_cli.installation import Installation
from muniment_cli.roles.listeners import listen
from muniment_cli.settings import Settings, agent_python, load_settings

__all__ = ["Machine", "machine_findings", "port_finding"]

_GIB = 1024**3
_FREE_GIB_MIN = 2
_FREE_FOR_VOLUMES = f"free some, below {_FREE_GIB_MIN} GiB databases soon stop writing"
_FREE_FOR_BACKUPS = f"delete backups or free some, below {_FREE_GIB_MIN} GiB new backups soon fail"


class Machine(NamedTuple):
    """What of a machine an installation stands on, or will."""

    settings: Settings
    drivers: Registry
    volumes: Path
    backups: Path
    backups_mark: BackupsMark | None
    why_no_images: Callable[[], str]
    """As `can_mount_images`, where volumes lie."""

    @classmethod
    def of(cls, installation: Installation) -> "Machine":
        """That of an installation."""
        return cls(
            settings=installation.settings,
            drivers=installation.drivers,
            volumes=installation.data.cloud,
            backups=installation.backups_directory,
            backups_mark=installation.backups_mark,
            why_no_images=installation.cloud.volumes.why_no_images,
        )

    @classmethod
    def before(cls, data: DataDirectory) -> "Machine":
        """That of a data directory which a first start has yet to make; raises Fault for variables that mean nothing."""
        return cls(
            settings=load_settings(Path(os.devnull), os.environ),
            drivers=Registry.load(),
            volumes=data.cloud,
            backups=data.own_backups,
            backups_mark=None,
            why_no_images=lambda: can_mount_images(_nearest(data.root)),
        )


def machine_findings(machine: Machine) -> Iterator[Finding]:
    """What this machine has and lacks."""
    if os.geteuid() == 0:
        yield Finding(Verdict.GOOD, "user", "root: every database runs as a user of its own")
    else:
        yield Finding(
            Verdict.NOTE, "user", "not root: all databases run as this user, tenants are not isolated"
        )
    yield _volumes(machine.why_no_images)
    yield _free("free space for volumes", machine.volumes, _FREE_FOR_VOLUMES)
    yield _backups(machine)
    python = agent_python(machine.settings)
    if os.access(python, os.X_OK):
        yield Finding(Verdict.GOOD, "agents' environment", str(python))
    else:
        yield Finding(Verdict.WRONG, "agents' environment", f"{python} is missing", "make install")
    for rejected in machine.drivers.rejected:
        name = rejected.driver or rejected.package
        yield Finding(Verdict.WRONG, f"driver {name}", "; ".join(rejected.reasons), "muniment drivers")
    yield _docker(machine.settings.local)


def port_finding(about: str, host_port: str, next_step: str) -> Finding:
    """Whether an address that is to be listened on is free."""
    try:
        listen(host_port, setting=about).close()
    except BadInput as taken:
        return Finding(Verdict.WRONG, about, taken.message.partition(";")[0], next_step)
    return Finding(Verdict.GOOD, about, f"{host_port} is free")


def _volumes(why_no_images: Callable[[], str]) -> Finding:
    try:
        why = why_no_images()
    except Fault as fault:
        return Finding(Verdict.WRONG, "volumes", f"none can be made now: {fault.message}", "muniment doctor")
    if why:
        return Finding(Verdict.NOTE, "volumes", f"directories, whose size nothing enforces: {why}")
    return Finding(Verdict.GOOD, "volumes", "XFS on image files, of enforced size")


def _backups(machine: Machine) -> Finding:
    try:
        if machine.backups_mark is not None:
            machine.backups_mark.check()
    except Fault as away:
        return Finding(
            Verdict.WRONG,
            "backups",
            f"none can be made, restored or deleted now: {away.message}",
            "mount the disk; what waits for it goes on by itself",
        )
    return _free("free space for backups", machine.backups, _FREE_FOR_BACKUPS)


def _free(about: str, place: Path, next_step: str) -> Finding:
    free_gib = shutil.disk_usage(_nearest(place)).free / _GIB
    text = f"{free_gib:.1f} GiB on the disk of {place}"
    if free_gib < _FREE_GIB_MIN:
        return Finding(Verdict.WRONG, about, text, next_step)
    return Finding(Verdict.GOOD, about, text)


def _docker(local: LocalCloudSettings) -> Finding:
    is_chosen = local.runtime == "docker"
    if is_chosen and os.geteuid() != 0:
        return Finding(
            Verdict.WRONG, "docker", "engines in containers take root", "set local.runtime to process"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(local.docker_socket)
        except OSError as error:
            why = f"no engine answers at {local.docker_socket} ({error.strerror})"
            if is_chosen:
                next_step = "start Docker, or set local.runtime to process"
                return Finding(Verdict.WRONG, "docker", f"{why}, and no database can be made", next_step)
            return Finding(Verdict.NOTE, "docker", f"{why}; engines run as processes")
    return Finding(Verdict.GOOD, "docker", "answers; engines run in containers where the settings say so")


def _nearest(place: Path) -> Path:
    """The place, or what is there of the way to it."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())
