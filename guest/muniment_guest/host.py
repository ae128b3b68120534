"""Puts together what a driver is given, the same in the agent and in each of its jobs."""

import os
import pwd
from pathlib import Path, PurePosixPath

from muniment.contract.guest import EngineUser, Host, Place
from muniment_guest.config import Layout
from muniment_guest.runtimes.process import ProcessRuntime
from muniment_guest.volume import DirectoryVolume, Volume
from muniment_guest.xfs import XfsVolume

__all__ = ["host_of", "volume_of"]


def volume_of(layout: Layout) -> Volume:
    """The data volume in the form that its device has."""
    device = Path(layout.config.volume_device)
    if device.is_dir():
        return DirectoryVolume(device, engine=layout.engine)
    mount_point = Path(layout.config.mount_point)
    return XfsVolume(device, mount_point, engine=layout.engine, note=layout.format_note)


def host_of(layout: Layout, volume: Volume) -> Host:
    """What a driver sees of this server."""
    uid, gid = layout.engine or (os.geteuid(), os.getegid())
    user = EngineUser(uid=uid, gid=gid, name=_name_of(uid))
    data = volume.root / "data"
    runtime = ProcessRuntime(
        user,
        pid_file=layout.engine_pid,
        server_log=layout.engine_log,
        cache=layout.cache,
        reached=(layout.engine_config, layout.run, layout.cache, volume.root),
    )
    return Host(
        instance_id=layout.config.instance_id,
        data=_same(data),
        run=_same(layout.run),
        config=_same(layout.engine_config),
        cache=_same(layout.cache),
        runtime=runtime,
        user=user,
        address=layout.config.address,
        port=layout.config.port,
        memory_mib=layout.config.memory_mib,
        full_copies=layout.config.full_copies,
    )


def _same(path: Path) -> Place:
    """Processes of this machine see what the agent sees."""
    return Place(outside=path, inside=PurePosixPath(path))


def _name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
