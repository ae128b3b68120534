"""The agent's process: how it starts, who else may, and how it ends."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from tests.support.guest_server import toy_layout, without_engine
from tests.support.scratch import short_directory

from muniment.contract.messages import Outcome
from muniment_guest.config import Layout
from muniment_guest.host import host_of, volume_of
from muniment_guest.journal import DiskJournal, Entry, Progressed
from muniment_guest.processes import wait_until
from muniment_guest.volume import DirectoryVolume, Prepared, write_prepared

PROGRAM = (sys.executable, str(Path(__file__).parents[2] / "support" / "toy_agent.py"))


@pytest.fixture
def layout() -> Iterator[Layout]:
    with short_directory() as home, without_engine(layout := toy_layout(home)):
        yield layout


@contextmanager
def agent(layout: Layout) -> Iterator["subprocess.Popen[str]"]:
    """A running agent; killed at the end if it still runs."""
    command = [*PROGRAM, "--config", str(layout.config_file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def logged(layout: Layout, words: str) -> bool:
    return layout.agent_log.exists() and words in layout.agent_log.read_text()


def run(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*PROGRAM, *args], capture_output=True, text=True, timeout=60)


def mean_to_run(layout: Layout) -> None:
    """A server whose volume is prepared and whose engine is meant to run, as after a boot."""
    uuid = uuid4()
    prepared = Prepared(volume_id="v", filesystem_uuid=uuid)
    volume = DirectoryVolume(Path(layout.config.volume_device), engine=None)
    (volume.root / "agent").mkdir()
    (volume.root / "agent" / "volume.json").write_text(f'{{"volume_id":"v","filesystem_uuid":"{uuid}"}}')
    write_prepared(layout.prepared, prepared)
    journal = DiskJournal(layout.journal, layout.config.instance_id)
    entry = Entry(command_id=uuid4(), state=Progressed.STARTED, at_s=1.0, op="server.bootstrap")
    journal.start(entry)
    journal.finish(Outcome(command_id=entry.command_id, ok=True), at_s=1.0, marks={"engine": "on"})
    journal.close()


def test_told_to_end_it_ends_at_once_and_leaves_the_engine(layout: Layout) -> None:
    """SIGTERM ends the agent within moments, even though the gateway is out of reach; the engine runs on."""
    mean_to_run(layout)
    with agent(layout) as process:
        assert wait_until(lambda: logged(layout, "healthy"), 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert host_of(layout, volume_of(layout)).runtime.server().running


def test_powered_off_it_takes_the_engine_along(layout: Layout) -> None:
    """SIGUSR1 is the switch of the machine."""
    mean_to_run(layout)
    with agent(layout) as process:
        assert wait_until(lambda: logged(layout, "healthy"), 30)
        process.send_signal(signal.SIGUSR1)
        assert process.wait(10) == 0
    assert not host_of(layout, volume_of(layout)).runtime.server().running


def test_second_agent_is_refused(layout: Layout) -> None:
    """One line and code 75."""
    with agent(layout):
        assert wait_until(lambda: logged(layout, "agent started"), 30)
        second = run("--config", str(layout.config_file))
    assert second.returncode == 75
    assert second.stderr.count("\n") == 1
    assert "another agent" in second.stderr


@pytest.mark.parametrize("text", [None, "{", '{"instance_id": 5}', '{"unknown": 1}'])
def test_bad_configuration_is_one_line_and_code_2(tmp_path: Path, text: str | None) -> None:
    """Never a traceback."""
    path = tmp_path / "server.json"
    if text is not None:
        path.write_text(text)
    refused = run("--config", str(path))
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert str(path) in refused.stderr


def test_missing_driver_is_one_line(layout: Layout) -> None:
    """With the name of the datastore that nobody brings."""
    text = layout.config_file.read_text().replace('"toy"', '"oracle"')
    layout.config_file.write_text(text)
    refused = run("--config", str(layout.config_file))
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "oracle" in refused.stderr


def test_log_is_json_lines(layout: Layout) -> None:
    """Every line has its instance and its event; nothing goes to the terminal."""
    with agent(layout) as process:
        assert wait_until(lambda: logged(layout, "control plane out of reach"), 30)
        process.send_signal(signal.SIGTERM)
        process.wait(5)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    for line in layout.agent_log.read_bytes().splitlines():
        entry = msgspec.json.decode(line, type=dict[str, object])
        assert entry["instance_id"] == str(layout.config.instance_id)
        assert {"event", "level", "timestamp"} <= entry.keys()
