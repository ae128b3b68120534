"""Data volumes: an image file where this machine can mount one, else a directory, whose size nothing enforces."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec

from muniment.clock import Clock, seconds
from muniment.cloud.cloud import NO_SPACE, CloudRefused
from muniment.cloud.local import processes, shared_memory
from muniment.cloud.local.layout import Layout
from muniment.cloud.local.mounts import XFS_BYTES_MIN, can_mount_images, tell_loop_devices
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.cloud.local.shelf import Shelf
from muniment.cloud.recipes import CloudResource, Condition, Kind, Tag, VolumeRecipe
from muniment.fault import Fault

__all__ = ["VolumeRecord", "Volumes"]

_GIB = 1024**3


class VolumeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A volume on disk."""

    id: str
    tag: Tag
    size_gib: int
    created_at_s: float
    is_image: bool
    engine_uid: int | None = None
    """As whom the engine on it runs: the volume's files belong to that user, whichever server has them."""


class Volumes:
    """Makes and removes volumes; under the cloud's lock."""

    def __init__(
        self,
        layout: Layout,
        settings: LocalCloudSettings,
        clock: Clock,
        *,
        why_no_images: Callable[[Path], str] = can_mount_images,
    ) -> None:
        """Keep them where the layout says. `why_no_images` is asked until it has an answer, before the first volume is
        made; it raises Fault while it has none."""
        self.shelf = Shelf(layout.volumes, VolumeRecord)
        self._settings = settings
        self._clock = clock
        self._ask = why_no_images
        self._why_no_images: str | None = None

    def create(self, recipe: VolumeRecipe) -> VolumeRecord:
        """Make one; it is there when this returns.

        Refused when the disk is nearly full, or while nobody can tell whether it may be an image: a volume whose size
        nothing enforces must not come from a bad moment.
        """
        self._refuse_nearly_full()
        is_image = recipe.size_gib * _GIB >= XFS_BYTES_MIN and self._can_be_images()
        record = VolumeRecord(
            id=str(uuid4()),
            tag=recipe.tag,
            size_gib=recipe.size_gib,
            created_at_s=seconds(self._clock.now()),
            is_image=is_image,
            engine_uid=self._free_uid() if os.geteuid() == 0 else None,
        )

        def prepare(aside: Path, _final: Path) -> None:
            data = aside / self.data(record).name
            if is_image:
                with data.open("xb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    file.truncate(record.size_gib * _GIB)
            else:
                data.mkdir()
                data.chmod(0o711)  # the engine's user passes through to its own directory inside

        self.shelf.add(record, prepare)
        return record

    def extend(self, record: VolumeRecord, size_gib: int) -> VolumeRecord:
        """Make one larger, the directory's size being a wish; it is when this returns, for a mounted image too.

        The record follows the image, so that what a crash leaves half done is done again.

        Raises:
            CloudRefused: the disk is nearly full, and nothing is larger.
            Fault: nobody knows whether who has the image mounted was told.
        """
        if size_gib <= record.size_gib:
            return record
        self._refuse_nearly_full()
        if record.is_image:
            image, size_bytes = self.data(record), size_gib * _GIB
            _lengthen(image, size_bytes)
            tell_loop_devices(image)
        extended = msgspec.structs.replace(record, size_gib=size_gib)
        self.shelf.change(extended)
        return extended

    def _refuse_nearly_full(self) -> None:
        free = self.free_bytes()
        if free < self._settings.free_bytes_min:
            raise CloudRefused(
                f"{free // 2**20} MiB are free below {self.shelf.folder}; "
                f"a volume needs at least {self._settings.free_bytes_min // 2**20}",
                for_owner=NO_SPACE,
            )

    def data(self, record: VolumeRecord) -> Path:
        """The image file or the directory."""
        return self.shelf.path(record.id) / ("image" if record.is_image else "directory")

    def why_no_images(self) -> str:
        """Why volumes are directories here; empty where they are file systems of their own.

        Raises:
            Fault: it cannot be told now; ask again later.
        """
        if self._why_no_images is None:
            self._why_no_images = self._ask(self.shelf.folder)
        return self._why_no_images

    def _can_be_images(self) -> bool:
        try:
            return self.why_no_images() == ""
        except Fault as fault:
            raise CloudRefused(
                f"no file system of its own can be made for a volume now: {fault.message}"
            ) from fault

    def free_bytes(self) -> int:
        """What may still be written on the disk that holds the volumes; images only take what is written into them."""
        facts = os.statvfs(self.shelf.folder)
        return facts.f_bavail * facts.f_frsize

    def seen(self, record: VolumeRecord) -> CloudResource:
        """The volume in the cloud's words."""
        return CloudResource(
            kind=Kind.VOLUME,
            id=record.id,
            tag=record.tag,
            condition=Condition.HEALTHY,
            created_at_s=record.created_at_s,
            size_gib=record.size_gib,
        )

    def _free_uid(self) -> int:
        # Another installation on this machine may draw from the same range, and what a user who is gone left in shared
        # memory is nobody else's.
        taken = (
            {record.engine_uid for record in self.shelf.all()} | processes.users() | shared_memory.owners()
        )
        for uid in range(self._settings.engine_uid_first, self._settings.engine_uid_last + 1):
            if uid not in taken and not _has_a_name(uid):
                return uid
        raise CloudRefused(
            f"every user number from {self._settings.engine_uid_first} to {self._settings.engine_uid_last} is in use, "
            "or owns shared memory still (/dev/shm, `ipcs`); widen local.engine_uid_first and local.engine_uid_last"
        )


def _lengthen(image: Path, size_bytes: int) -> None:
    """Never shorter: what lies at the end of an image is somebody's data."""
    try:
        with image.open("rb+") as file:
            if file.seek(0, os.SEEK_END) < size_bytes:
                file.truncate(size_bytes)
                os.fsync(file.fileno())
    except OSError as error:
        raise CloudRefused(f"{image}: {error.strerror}", for_owner=NO_SPACE) from error


def _has_a_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
