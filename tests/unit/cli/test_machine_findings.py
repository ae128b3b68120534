"""What `muniment doctor` makes of a machine."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from muniment.cloud.local.backups_mark import BackupsMark
from muniment.cloud.local.settings import LocalCloudSettings
from muniment.contract.registry import Registry
from muniment.fault import Fault
from muniment_cli.commands.finding import Finding, Verdict
from muniment_cli.commands.machine_findings import Machine, machine_findings, port_finding
from muniment_cli.data_directory import DataDirectory
from muniment_cli.settings import AgentSettings, Settings

_LOCAL = LocalCloudSettings()


def _passing() -> str:
    raise Fault("cloud", "no loop device is free")


def _found(
    tmp_path: Path,
    *,
    why: Callable[[], str] = lambda: "",
    python: str = "/bin/sh",
    mark: BackupsMark | None = None,
    local: LocalCloudSettings = _LOCAL,
) -> dict[str, Finding]:
    machine = Machine(
        settings=Settings(agent=AgentSettings(python=python), local=local),
        drivers=Registry.load(),
        volumes=tmp_path / "not" / "yet",
        backups=tmp_path,
        backups_mark=mark,
        why_no_images=why,
    )
    return {finding.about: finding for finding in machine_findings(machine)}


@pytest.mark.parametrize(
    ("why", "verdict", "said"),
    [
        (lambda: "", Verdict.GOOD, "enforced"),
        (lambda: "mkfs.xfs is not installed", Verdict.NOTE, "mkfs.xfs is not installed"),
        (_passing, Verdict.WRONG, "none can be made now: no loop device is free"),
    ],
)
def test_what_becomes_of_volumes(tmp_path: Path, why: Callable[[], str], verdict: Verdict, said: str) -> None:
    """A machine that lacks something is a note; a bad moment, in which every create fails, is wrong."""
    found = _found(tmp_path, why=why)["volumes"]
    assert found.verdict is verdict
    assert said in found.finding


def test_space_is_looked_at_where_there_will_be_a_directory(tmp_path: Path) -> None:
    """Before the first start the disk is that of the nearest directory above."""
    assert f"on the disk of {tmp_path / 'not' / 'yet'}" in _found(tmp_path)["free space for volumes"].finding


def test_each_full_disk_has_a_next_step_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases stop writing on the disk of volumes, not on that of backups."""
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1))
    found = _found(tmp_path)
    volumes, backups = found["free space for volumes"], found["free space for backups"]
    assert volumes.verdict is backups.verdict is Verdict.WRONG
    assert "databases soon stop writing" in volumes.next_step
    assert "databases" not in backups.next_step
    assert "delete backups" in backups.next_step


def test_a_disk_of_backups_that_is_away_is_one_finding_of_many(tmp_path: Path) -> None:
    """It is wrong while its mark is missing, in place of its free space, and good again with it."""
    mark = BackupsMark(tmp_path, tmp_path / "data")
    away = _found(tmp_path, mark=mark)
    mark.write()
    back = _found(tmp_path, mark=mark)
    assert away["backups"].verdict is Verdict.WRONG
    assert "is its disk mounted?" in away["backups"].finding
    assert away.keys() - back.keys() == {"backups"}
    assert back.keys() - away.keys() == {"free space for backups"}


def test_a_missing_environment_is_wrong(tmp_path: Path) -> None:
    """It says which, and how to make it."""
    found = _found(tmp_path, python=str(tmp_path / "none"))["agents' environment"]
    assert (found.verdict, found.next_step) == (Verdict.WRONG, "make install")


def test_the_machine_before_a_first_start(tmp_path: Path) -> None:
    """Nothing is made where the data directory will be."""
    data = DataDirectory(tmp_path / "new")
    assert data.is_untouched
    machine = Machine.before(data)
    assert (machine.volumes, machine.backups) == (data.cloud, data.own_backups)
    assert list(machine_findings(machine))
    assert not os.listdir(tmp_path)
    data.make()
    assert data.is_untouched
    data.settings_file.touch()
    assert not data.is_untouched


def test_an_address_that_nobody_has() -> None:
    """One that is not this machine's cannot be listened on either."""
    assert port_finding("port of the api", "192.0.2.1:8779", "change it").verdict is Verdict.WRONG


def test_docker_that_is_chosen_and_does_not_answer_is_wrong(tmp_path: Path) -> None:
    """Where nobody chose it, its absence is only worth knowing."""
    socket = str(tmp_path / "docker.sock")
    chosen = _found(tmp_path, local=LocalCloudSettings(runtime="docker", docker_socket=socket))["docker"]
    assert chosen.verdict is Verdict.WRONG
    assert socket in chosen.finding
    assert "local.runtime" in chosen.next_step
    other = _found(tmp_path, local=LocalCloudSettings(docker_socket=socket))["docker"]
    assert other.verdict is Verdict.NOTE
