"""Puts together what a driver is given, the same in the agent and in each of its jobs."""

import os
import pwd
from pathlib import Path, PurePosixPath
from typing import Final

from muniment.contract.guest import EngineUser, Host, Place, Runtime
from muniment_guest.config import Layout
from muniment_guest.runtimes.process import ProcessRuntime
from muniment_guest.volume import DirectoryVolume, Volume
from muniment_guest.xfs import XfsVolume

__all__ = ["host_of", "volume_of"]

ENGINE_NAME: Final = "muniment"
"""The name of the engine's user in a container, where its uid has none here; `initdb`-like programs insist on one."""
EVERY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - of its own network, on which Docker publishes what clients reach
"""Where an engine in a container listens."""


def volume_of(layout: Layout) -> Volume:
    """The data volume in the form that its device has."""
    device = Path(layout.config.volume_device)
    if device.is_dir():
        return DirectoryVolume(device, engine=layout.engine)
    mount_point = Path(layout.config.mount_point)
    return XfsVolume(device, mount_point, engine=layout.engine, note=layout.format_note)


def host_of(layout: Layout, volume: Volume) -> Host:
    """What a driver sees of this server."""
    config = layout.config
    uid, gid = layout.engine or (os.geteuid(), os.getegid())
    in_container = config.runtime == "docker"
    user = EngineUser(uid=uid, gid=gid, name=_name_of(uid) or (ENGINE_NAME if in_container else None))
    return Host(
        instance_id=config.instance_id,
        data=_same(volume.root / "data"),
        run=_same(layout.run),
        config=_same(layout.engine_config),
        cache=_same(layout.cache),
        runtime=_container(layout, volume, user) if in_container else _processes(layout, volume, user),
        user=user,
        address=EVERY_ADDRESS if in_container else config.address,
        port=config.port,
        memory_mib=config.memory_mib,
        full_copies=config.full_copies,
    )


def _processes(layout: Layout, volume: Volume, user: EngineUser) -> Runtime:
    return ProcessRuntime(
        user,
        pid_file=layout.engine_pid,
        server_log=layout.engine_log,
        cache=layout.cache,
        reached=(layout.engine_config, layout.run, layout.cache, volume.root),
    )


def _container(layout: Layout, volume: Volume, user: EngineUser) -> Runtime:
    # Loaded where it is used: Docker's package takes a tenth of a second, which every agent of processes would wait for.
    from muniment_guest.runtimes.docker.container import Mounts  # noqa: PLC0415
    from muniment_guest.runtimes.docker.runtime import DockerRuntime  # noqa: PLC0415

    config = layout.config
    return DockerRuntime(
        config.instance_id,
        user,
        socket=config.docker_socket,
        state=layout.state,
        mounts=Mounts(writable=(volume.root / "data", layout.run), readable=(layout.engine_config,)),
        tool_mounts=Mounts(writable=(layout.cache,), readable=()),
        address=config.address,
        port=config.port,
        memory_mib=config.memory_mib,
    )


def _same(path: Path) -> Place:
    """Processes of this machine see what the agent sees."""
    return Place(outside=path, inside=PurePosixPath(path))


def _name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
