"""The data volume: what is prepared, what is refused, and what is never formatted."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from muniment.cloud.local.mounts import tell_loop_devices
from muniment.contract.errors import Code, OpFailed
from muniment.contract.ops import GrowVolume, PrepareVolume
from muniment_guest.volume import DirectoryVolume, Prepared
from muniment_guest.xfs import XfsVolume

MIB = 1024 * 1024
needs_loop = [
    pytest.mark.root,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("mkfs.xfs") is None or not Path("/dev/loop-control").exists(),
        reason="takes root, mkfs.xfs and a loop device (`make deps`)",
    ),
]


def wanted(uuid: UUID, size_gib: int = 0) -> PrepareVolume:
    return PrepareVolume(volume_id="volume-1", filesystem_uuid=uuid, size_gib=size_gib)


def refused(failed: pytest.ExceptionInfo[OpFailed], code: Code) -> None:
    assert failed.value.error.code is code, failed.value.error


class TestDirectory:
    """A volume where nothing better is to be had."""

    def test_prepared_twice_is_prepared_once(self, tmp_path: Path) -> None:
        """The second time changes nothing, and the size is said to be advisory."""
        volume, uuid = DirectoryVolume(tmp_path, engine=None), uuid4()
        first = volume.prepare(wanted(uuid))
        (tmp_path / "data" / "table").write_text("rows")
        second = volume.prepare(wanted(uuid))
        assert (first.filesystem, first.enforced, first.uuid) == ("directory", False, uuid)
        assert second.uuid == uuid
        assert (tmp_path / "data" / "table").read_text() == "rows"
        assert (tmp_path / "agent").stat().st_mode & 0o777 == 0o700

    def test_use_is_that_of_the_volume_alone(self, tmp_path: Path) -> None:
        """What else lies on the same disk is not counted; what is written into the volume is."""
        volume = DirectoryVolume(tmp_path, engine=None)
        before = volume.prepare(wanted(uuid4())).used_bytes
        (tmp_path / "data" / "rows").write_bytes(os.urandom(3_000_000))
        grown = volume.facts().used_bytes - before
        assert 3_000_000 <= grown < 3_100_000

    def test_directory_with_something_else_is_refused(self, tmp_path: Path) -> None:
        """What is there is somebody's."""
        (tmp_path / "photos").mkdir()
        with pytest.raises(OpFailed) as failed:
            DirectoryVolume(tmp_path, engine=None).prepare(wanted(uuid4()))
        refused(failed, Code.CONFLICT)
        assert os.listdir(tmp_path) == ["photos"]

    def test_other_volume_is_refused(self, tmp_path: Path) -> None:
        """A directory belongs to the volume it was prepared for, to be attached as well."""
        volume, uuid = DirectoryVolume(tmp_path, engine=None), uuid4()
        volume.prepare(wanted(uuid))
        with pytest.raises(OpFailed) as failed:
            volume.prepare(wanted(uuid4()))
        refused(failed, Code.CONFLICT)
        with pytest.raises(OpFailed) as failed:
            volume.attach(Prepared(volume_id="x", filesystem_uuid=uuid4()))
        refused(failed, Code.STORAGE_UNAVAILABLE)
        volume.attach(Prepared(volume_id="volume-1", filesystem_uuid=uuid))

    def test_crash_in_the_middle_is_taken_up(self, tmp_path: Path) -> None:
        """A label that was not written yet leaves an empty directory behind, which is no obstacle."""
        (tmp_path / "agent").mkdir()
        (tmp_path / "agent" / ".volume.json.new").write_bytes(b"{")
        assert DirectoryVolume(tmp_path, engine=None).prepare(wanted(uuid4())).filesystem == "directory"

    def test_growth_changes_nothing(self, tmp_path: Path) -> None:
        """Its size is a wish, and there is nothing that would keep it small."""
        volume = DirectoryVolume(tmp_path, engine=None)
        with pytest.raises(OpFailed) as failed:
            volume.grow(GrowVolume(size_gib=2))
        refused(failed, Code.PRECONDITION_FAILED)
        uuid = volume.prepare(wanted(uuid4())).uuid
        assert volume.grow(GrowVolume(size_gib=2)).uuid == uuid

    def test_facts_need_a_prepared_volume(self, tmp_path: Path) -> None:
        """Before, there is nothing to say."""
        with pytest.raises(OpFailed) as failed:
            DirectoryVolume(tmp_path, engine=None).facts()
        refused(failed, Code.PRECONDITION_FAILED)


class Image:
    """A sparse image file and the volume on it."""

    def __init__(self, home: Path, size_mib: int = 320) -> None:
        self.path = home / "volume.img"
        self.note = home / "formatting"
        self.mount = home / "mount"
        self.path.touch()
        os.truncate(self.path, size_mib * MIB)
        self.volume = XfsVolume(self.path, self.mount, engine=None, note=self.note)

    def loops(self) -> str:
        command = ["losetup", "--noheadings", "-O", "NAME", "-j", str(self.path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    image = Image(tmp_path)
    yield image
    image.volume.detach()


class TestXfs:
    """A volume with a size that is a limit."""

    pytestmark = needs_loop

    def test_blank_image_becomes_a_filesystem(self, image: Image) -> None:
        """With the UUID that was asked for, real sizes, reflink, and nothing left over after it was let go."""
        uuid = uuid4()
        facts = image.volume.prepare(wanted(uuid))
        assert (facts.filesystem, facts.uuid, facts.enforced, facts.reflink) == ("xfs", uuid, True, True)
        assert 250 * MIB < facts.size_bytes < 320 * MIB
        assert not image.note.exists()
        image.volume.detach()
        assert not os.path.ismount(image.mount)
        assert image.loops() == ""

    def test_grows_while_it_is_in_use(self, image: Image) -> None:
        """It offers what was added, files stay, open ones too; again it is a no-op; it is as large after a boot."""
        uuid = uuid4()
        before = image.volume.prepare(wanted(uuid))
        with (image.mount / "data" / "table").open("w") as file:
            file.write("rows")
            os.truncate(image.path, 1024 * MIB)
            tell_loop_devices(image.path)
            grown = image.volume.grow(GrowVolume(size_gib=1))
            file.write(" and more")
        assert grown.size_bytes - before.size_bytes >= (1024 - 320) * MIB - MIB
        assert image.volume.grow(GrowVolume(size_gib=1)).size_bytes == grown.size_bytes
        image.volume.detach()
        image.volume.attach(Prepared(volume_id="volume-1", filesystem_uuid=uuid))
        assert image.volume.facts().size_bytes == grown.size_bytes
        assert (image.mount / "data" / "table").read_text() == "rows and more"

    def test_volume_that_is_not_larger_yet_is_said_so(self, image: Image) -> None:
        """The image was extended and its device was not told: an answer that may be asked for again."""
        before = image.volume.prepare(wanted(uuid4()))
        os.truncate(image.path, 1024 * MIB)
        with pytest.raises(OpFailed) as failed:
            image.volume.grow(GrowVolume(size_gib=1))
        refused(failed, Code.STORAGE_UNAVAILABLE)
        assert failed.value.error.retryable
        assert image.volume.facts().size_bytes == before.size_bytes

    def test_prepared_volume_is_never_formatted_again(self, image: Image) -> None:
        """Neither while it is mounted, nor after a boot, nor when a stale note says that a format had begun."""
        uuid = uuid4()
        image.volume.prepare(wanted(uuid))
        (image.mount / "data" / "table").write_text("rows")
        image.volume.prepare(wanted(uuid))
        image.volume.detach()
        image.note.write_text(f'"{uuid}"')
        image.volume.prepare(wanted(uuid))
        assert (image.mount / "data" / "table").read_text() == "rows"

    def test_attached_again_after_a_boot(self, image: Image) -> None:
        """By its UUID, and by no other."""
        uuid = uuid4()
        image.volume.prepare(wanted(uuid))
        image.volume.detach()
        with pytest.raises(OpFailed) as failed:
            image.volume.attach(Prepared(volume_id="x", filesystem_uuid=uuid4()))
        refused(failed, Code.STORAGE_UNAVAILABLE)
        image.volume.attach(Prepared(volume_id="volume-1", filesystem_uuid=uuid))
        assert os.path.ismount(image.mount)

    def test_a_place_with_any_name(self, tmp_path: Path) -> None:
        """A letter beyond ASCII, a blank or a backslash in the path is no obstacle, the second time neither."""
        home, uuid = tmp_path / "Bücher und\\040\tmehr", uuid4()
        home.mkdir()
        image = Image(home)
        try:
            assert image.volume.prepare(wanted(uuid)).uuid == uuid
            assert image.volume.prepare(wanted(uuid)).uuid == uuid
        finally:
            image.volume.detach()
        assert not os.path.ismount(image.mount)
        assert image.loops() == ""

    def test_other_filesystem_is_refused(self, image: Image) -> None:
        """An XFS of another volume is left as it is."""
        image.volume.prepare(wanted(uuid4()))
        image.volume.detach()
        before = image.path.read_bytes()[:4096]
        with pytest.raises(OpFailed) as failed:
            image.volume.prepare(wanted(uuid4()))
        refused(failed, Code.CONFLICT)
        assert image.path.read_bytes()[:4096] == before

    @pytest.mark.parametrize(
        ("at", "data"),
        [(0, b"some bytes"), (-10, b"at the end"), (1024 + 56, b"\x53\xef"), (510, b"\x55\xaa")],
        ids=["start", "end", "ext", "partitions"],
    )
    def test_image_that_is_not_blank_is_refused(self, image: Image, at: int, data: bytes) -> None:
        """Whatever is on it, known signature or not."""
        with open(image.path, "r+b") as file:
            file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
            file.write(data)
        with pytest.raises(OpFailed) as failed:
            image.volume.prepare(wanted(uuid4()))
        refused(failed, Code.CONFLICT)

    def test_interrupted_format_begins_again(self, image: Image) -> None:
        """A crash in the middle of mkfs leaves something that is neither blank nor a filesystem."""
        uuid = uuid4()
        image.volume.prepare(wanted(uuid))
        image.volume.detach()
        with open(image.path, "r+b") as file:
            file.seek(126)
            file.write(b"\1")
        image.note.write_text(f'"{uuid}"')
        assert image.volume.prepare(wanted(uuid)).uuid == uuid

    def test_half_a_filesystem_without_a_note_is_refused(self, image: Image) -> None:
        """Nothing says that it was blank before."""
        uuid = uuid4()
        image.volume.prepare(wanted(uuid))
        image.volume.detach()
        with open(image.path, "r+b") as file:
            file.seek(126)
            file.write(b"\1")
        with pytest.raises(OpFailed) as failed:
            image.volume.prepare(wanted(uuid))
        refused(failed, Code.CONFLICT)

    def test_too_small_a_device_is_refused(self, image: Image) -> None:
        """Smaller than asked for."""
        with pytest.raises(OpFailed) as failed:
            image.volume.prepare(wanted(uuid4(), size_gib=1))
        refused(failed, Code.STORAGE_UNAVAILABLE)


def test_image_without_root_is_refused_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user learns why there is no such volume."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(OpFailed, match="takes root") as failed:
        Image(tmp_path).volume.prepare(wanted(uuid4()))
    refused(failed, Code.STORAGE_UNAVAILABLE)
