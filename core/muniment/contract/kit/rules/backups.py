"""Capabilities `backup.full` and `restore`."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from muniment.contract import ops
from muniment.contract.backup import BackupManifest, manifest_digest
from muniment.contract.errors import Code
from muniment.contract.kit.cases import DATA_KEY, backup_of
from muniment.contract.kit.client import Client
from muniment.contract.kit.instance import Instance
from muniment.contract.kit.plugin import NewInstance
from muniment.contract.messages import JobState
from muniment.contract.ops import Account, DatabaseSpec, RestoreBackup, UserSpec
from muniment.secret import Secret

pytestmark = pytest.mark.capability("backup.full")

PASSWORD = Secret("kit backed'up")


@pytest.fixture(scope="module")
def shared(machine: NewInstance) -> Iterator[Instance]:
    """An instance for these rules alone, since one that all others filled has several times as much to back up."""
    instance = machine()
    instance.bring_up()
    yield instance
    instance.bench.close()


def _backed_up(up: Instance, name: str) -> tuple[RestoreBackup, BackupManifest]:
    """A backup of the shared instance, with a database and a user in it, as arguments of a restore."""
    up.do(ops.DB_CREATE, DatabaseSpec(name="kit_saved"))
    user = UserSpec(account=Account(name="kit_saver"), databases=("kit_saved",))
    up.do(ops.USER_CREATE, user, {"password": PASSWORD})
    wanted = backup_of(up, name)
    manifest = up.do(ops.BACKUP_CREATE, wanted, DATA_KEY)
    restore = RestoreBackup(
        backup_id=wanted.backup_id, source=wanted.target, manifest_sha256=manifest_digest(manifest)
    )
    return restore, manifest


def _segment(restore: RestoreBackup, manifest: BackupManifest) -> Path:
    return Path(restore.source.location) / manifest.segments[0].name


def test_manifest(up: Instance) -> None:
    """A backup's manifest tells what a restore needs, and its files are as it says."""
    restore, manifest = _backed_up(up, "manifest")

    assert manifest.datastore == up.subject.datastore.name
    assert manifest.server_version
    assert manifest.plain_bytes > 0
    for segment in manifest.segments:
        size_bytes = (Path(restore.source.location) / segment.name).stat().st_size
        assert size_bytes == segment.size_bytes


def test_nothing_readable_in_the_store(up: Instance, client: Client) -> None:
    """What a tenant stored is in no file of the backup as it is."""
    restore, _ = _backed_up(up, "sealed")
    word = "canary" * 50
    client.store(up.login("kit_saver", PASSWORD, "kit_saved"), word)
    restore, _ = _backed_up(up, "sealed-too")

    for file in Path(restore.source.location).iterdir():
        assert word.encode() not in file.read_bytes()


@pytest.mark.capability("restore")
def test_round_trip(up: Instance, new_instance: NewInstance, client: Client) -> None:
    """A new server from a backup has databases, users, passwords and words of the old one as they were then."""
    _backed_up(up, "early")
    login = up.login("kit_saver", PASSWORD, "kit_saved")
    client.store(login, "before")
    words = client.words(login)
    restore, _ = _backed_up(up, "round-trip")
    client.store(login, "after")
    target = new_instance()
    target.prepare()

    target.do(ops.RESTORE_APPLY, restore, DATA_KEY)
    target.do(ops.RESTORE_APPLY, restore, DATA_KEY)
    target.do(ops.SERVER_BOOTSTRAP, target.bootstrap())

    restored = target.login("kit_saver", PASSWORD, "kit_saved")
    assert client.words(restored) == words
    client.store(restored, "new life")
    assert "kit_saved" in target.database_names()
    assert target.refusal(ops.RESTORE_APPLY, restore, DATA_KEY) is Code.PRECONDITION_FAILED


@pytest.mark.capability("restore")
@pytest.mark.parametrize("moment_s", [0.05, 0.5])
def test_restore_cut_off(up: Instance, new_instance: NewInstance, moment_s: float) -> None:
    """A restore that a power cut interrupted is done anew, and the server has what was saved."""
    restore, _ = _backed_up(up, "cut-off")
    target = new_instance()
    target.prepare()
    command_id = target.send(ops.RESTORE_APPLY, restore, DATA_KEY)
    assert target.bench.was_fetched(command_id, timeout_s=20)
    time.sleep(moment_s)

    target.bench.cut_power()
    target.bench.start_agent()

    target.settle(ops.RESTORE_APPLY, restore, DATA_KEY, command_id)
    target.do(ops.SERVER_BOOTSTRAP, target.bootstrap())
    assert "kit_saved" in target.database_names()


@pytest.mark.capability("restore")
def test_altered_backups_are_refused(up: Instance, new_instance: NewInstance) -> None:
    """A changed byte, a missing object, another manifest or another key is `integrity_failed`; a good one works after."""
    restore, manifest = _backed_up(up, "altered")
    target = new_instance()
    target.prepare()
    segment = _segment(restore, manifest)
    content = segment.read_bytes()

    segment.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert target.refusal(ops.RESTORE_APPLY, restore, DATA_KEY) is Code.INTEGRITY_FAILED
    segment.write_bytes(content[:-1])
    assert target.refusal(ops.RESTORE_APPLY, restore, DATA_KEY) is Code.INTEGRITY_FAILED
    segment.write_bytes(content)
    wrong_key = {"data_key": Secret(os.urandom(32))}
    assert target.refusal(ops.RESTORE_APPLY, restore, wrong_key) is Code.INTEGRITY_FAILED
    other = RestoreBackup(backup_id=restore.backup_id, source=restore.source, manifest_sha256="0" * 64)
    assert target.refusal(ops.RESTORE_APPLY, other, DATA_KEY) is Code.INTEGRITY_FAILED

    target.do(ops.RESTORE_APPLY, restore, DATA_KEY)


@pytest.mark.capability("restore")
def test_a_database_is_never_replaced(up: Instance) -> None:
    """A restore over a server that has data is refused, running or stopped."""
    restore, _ = _backed_up(up, "replaced")

    assert up.refusal(ops.RESTORE_APPLY, restore, DATA_KEY) is Code.PRECONDITION_FAILED
    up.do(ops.SERVER_STOP, ops.StopServer(grace_s=20))
    assert up.refusal(ops.RESTORE_APPLY, restore, DATA_KEY) is Code.PRECONDITION_FAILED
    up.come_back()
    assert "kit_saved" in up.database_names()


def test_cancelled(up: Instance) -> None:
    """A backup that is cancelled leaves nothing in the store, and the next one works."""
    wanted = backup_of(up, "cancelled")
    command_id = up.send(ops.BACKUP_CREATE, wanted, DATA_KEY)
    assert up.bench.was_fetched(command_id, timeout_s=20)

    report = up.do(ops.JOB_CANCEL, ops.JobRef(command_id=command_id))

    assert report.state is JobState.FINISHED
    place = Path(wanted.target.location)
    if report.outcome is not None and not report.outcome.ok:
        assert not place.exists() or list(place.iterdir()) == []
    up.do(ops.BACKUP_CREATE, backup_of(up, "next"), DATA_KEY)


def test_unknown_method(up: Instance) -> None:
    """A method that the manifest does not name is refused, and nothing is written."""
    wanted = backup_of(up, "method")
    strange = ops.CreateBackup(
        backup_id=_new(), method="kit-psychic", target=wanted.target, key_id="kit", wrapped_key=b"kit"
    )

    assert up.refusal(ops.BACKUP_CREATE, strange, DATA_KEY) is Code.UNSUPPORTED
    place = Path(wanted.target.location)
    assert not place.exists() or list(place.iterdir()) == []


def _new() -> UUID:
    return uuid4()
