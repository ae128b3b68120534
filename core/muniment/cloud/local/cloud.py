"""The embedded cloud: this machine's disk, loopback addresses and processes, behind the port that every cloud has."""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from muniment.clock import Clock
from muniment.cloud.cloud import CloudRefused
from muniment.cloud.local.containers import Containers
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.mounts import can_mount_images
from muniment.cloud.local.ports import NETWORK, PortRecord, Ports
from muniment.cloud.local.servers import Runtime, ServerRecord, Servers
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.cloud.local.shelf import Shelf
from muniment.cloud.local.volumes import VolumeRecord, Volumes
from muniment.cloud.recipes import (
    CloudResource,
    Flavor,
    Kind,
    Network,
    PortRecipe,
    Recipe,
    ServerRecipe,
    Tag,
    VolumeRecipe,
)

__all__ = ["LocalCloud"]

_CALL_LIMIT_S = 5.0
_LOCK_LIMIT_S = 3.5
_LOCK_PAUSE_S = 0.01

_AnyRecord = VolumeRecord | PortRecord | ServerRecord


class LocalCloud:
    """Servers are agent processes of this machine, volumes are files, addresses are loopback ones.

    Any process that may write the directory can use it: changes are made one at a time under a lock, and what a crash
    left half done is not a resource yet, or is still one.
    """

    def __init__(
        self,
        layout: Layout,
        settings: LocalCloudSettings,
        clock: Clock,
        *,
        agent_python: Path,
        why_no_images: Callable[[Path], str] = can_mount_images,
    ) -> None:
        """Open, or make, the cloud that lies at `layout`."""
        self._layout = layout
        self._settings = settings
        self.volumes = Volumes(layout, settings, clock, why_no_images=why_no_images)
        self.ports = Ports(layout, clock)
        self.containers = Containers(agent_python, settings.docker_socket)
        self.servers = Servers(
            layout, self.volumes, clock, settings, containers=self.containers, python=agent_python
        )
        for folder in (layout.root, layout.cache):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o711)  # the users of engines pass through to what is theirs
        with self._changing():
            for shelf in (self.volumes.shelf, self.ports.shelf, self.servers.shelf):
                shelf.open()

    @property
    def capabilities(self) -> frozenset[str]:
        """Nothing beyond the minimum: there is no packet filter of ours on this machine."""
        return frozenset()

    @property
    def call_limit_s(self) -> float:
        """The longest that one call takes; ending a server's processes is what may take time."""
        return _CALL_LIMIT_S

    @property
    def runtime(self) -> Runtime:
        """How engines of new instances run."""
        return self.servers.runtime

    def find(self, kind: Kind, tag: Tag) -> Sequence[CloudResource]:
        """All resources of that kind with that tag."""
        return [self._seen(record) for record in self._records(kind) if record.tag == tag]

    def create(self, recipe: Recipe) -> CloudResource:
        """Make a resource; volumes and ports are ready at once, a server once its agent holds its lock."""
        with self._changing():
            match recipe:
                case VolumeRecipe():
                    return self.volumes.seen(self.volumes.create(recipe))
                case PortRecipe():
                    return self.ports.seen(self.ports.create(recipe))
                case ServerRecipe():
                    return self.servers.seen(self._create_server(recipe))

    def get(self, kind: Kind, resource_id: str) -> CloudResource | None:
        """The resource with that id, or None."""
        record = self._shelf(kind).get(resource_id)
        return None if record is None else self._seen(record)

    def delete(self, kind: Kind, resource_id: str) -> None:
        """Remove a resource. Volumes and ports of a server that is there are refused."""
        with self._changing():
            record = self._shelf(kind).get(resource_id)
            if record is None:
                return
            if isinstance(record, ServerRecord):
                self.servers.remove(record)
                return
            users = [s.id for s in self.servers.shelf.all() if resource_id in (s.volume_id, s.port_id)]
            if users:
                raise CloudRefused(f"{kind} {resource_id} is in use by server {users[0]}")
            self._shelf(kind).remove(resource_id)

    def extend(self, volume_id: str, size_gib: int) -> CloudResource:
        """Make a volume larger; it has the new size when this returns."""
        with self._changing():
            record = self.volumes.shelf.get(volume_id)
            if record is None:
                raise CloudRefused(f"there is no volume {volume_id}", retryable=False)
            return self.volumes.seen(self.volumes.extend(record, size_gib))

    def tagged(self) -> Iterable[CloudResource]:
        """Everything there is."""
        return [self._seen(record) for kind in Kind for record in self._records(kind)]

    def flavors(self) -> Sequence[Flavor]:
        """The sizes in the settings, smallest first."""
        made = [
            Flavor(id=f.id, name=f.name, ram_mib=f.ram_mib, vcpus=f.vcpus) for f in self._settings.flavors
        ]
        return sorted(made, key=lambda flavor: (flavor.ram_mib, flavor.vcpus))

    def networks(self) -> Sequence[Network]:
        """The one network there is."""
        return [NETWORK]

    def free_volume_bytes(self) -> int | None:
        """What may still be written on the disk that holds the volumes."""
        return self.volumes.free_bytes()

    def tend(self) -> None:
        """Start agents that should run and do not, and finish interrupted removals."""
        with self._changing():
            self.servers.tend()

    def _create_server(self, recipe: ServerRecipe) -> ServerRecord:
        volume = self.volumes.shelf.get(recipe.volume_id)
        port = self.ports.shelf.get(recipe.port_id)
        if volume is None or port is None:
            missing = f"volume {recipe.volume_id}" if volume is None else f"port {recipe.port_id}"
            raise CloudRefused(f"there is no {missing}", retryable=False)
        return self.servers.create(recipe, volume, port)

    def _shelf(self, kind: Kind) -> Shelf[VolumeRecord] | Shelf[PortRecord] | Shelf[ServerRecord]:
        match kind:
            case Kind.VOLUME:
                return self.volumes.shelf
            case Kind.PORT:
                return self.ports.shelf
            case Kind.SERVER:
                return self.servers.shelf

    def _records(self, kind: Kind) -> Iterator[_AnyRecord]:
        return iter(self._shelf(kind).all())

    def _seen(self, record: _AnyRecord) -> CloudResource:
        match record:
            case VolumeRecord():
                return self.volumes.seen(record)
            case PortRecord():
                return self.ports.seen(record)
            case ServerRecord():
                return self.servers.seen(record)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep everybody else out: a lock of this kind belongs to the opened file, so it holds between threads as well."""
        with self._layout.lock.open("ab") as file:
            deadline_s = time.monotonic() + _LOCK_LIMIT_S
            while not _try_lock(file):
                if time.monotonic() > deadline_s:
                    raise CloudRefused("another call is at work on this machine's resources; try again")
                time.sleep(_LOCK_PAUSE_S)
            yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
