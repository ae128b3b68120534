"""The process runtime: an engine that outlives whoever started it, and programs that end when they should."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import EngineUser, Sources, Wheel
from muniment.contract.ops import Install
from muniment_guest.processes import ProcessId, identify, is_alive, wait_until
from muniment_guest.runtimes.process import ProcessRuntime, bound_log
from muniment_guest.runtimes.programs import closed_to

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to run programs as another user")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    with_engine = tmp_path / "engine.json"
    if with_engine.exists() and (data := with_engine.read_bytes()):
        process = msgspec.json.decode(data, type=ProcessId)
        if is_alive(process):
            os.kill(process.pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(process), 5)


def runtime_of(home: Path, *, uid: int | None = None) -> ProcessRuntime:
    user = EngineUser(
        uid=os.geteuid() if uid is None else uid, gid=os.getegid() if uid is None else uid, name=None
    )
    return ProcessRuntime(
        user, pid_file=home / "engine.json", server_log=home / "engine.log", cache=home / "cache"
    )


def test_server_is_found_by_a_successor(home: Path) -> None:
    """A server runs detached and is known by its file alone."""
    runtime_of(home).start_server(["/bin/sleep", "1000"])
    state = runtime_of(home).server()
    assert state.running
    assert state.pid is not None
    assert os.getsid(state.pid) == state.pid


def test_server_is_started_once(home: Path) -> None:
    """A second start finds the first."""
    runtime = runtime_of(home)
    runtime.start_server(["/bin/sleep", "1000"])
    pid = runtime.server().pid
    runtime.start_server(["/bin/sleep", "1000"])
    assert runtime.server().pid == pid


def test_reused_number_is_not_mistaken_for_the_server(home: Path) -> None:
    """Another process with the number of the engine that died is left alone."""
    other = identify(os.getpid())
    assert other is not None
    stale = msgspec.structs.replace(other, start_ticks=other.start_ticks - 1)
    (home / "engine.json").write_bytes(msgspec.json.encode(stale))
    runtime = runtime_of(home)
    assert not runtime.server().running
    runtime.stop_server(signal=signal.SIGKILL, grace_s=1)


def test_file_of_another_boot_is_no_server(home: Path) -> None:
    """After a boot every number means somebody else."""
    here = identify(os.getpid())
    assert here is not None
    (home / "engine.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(here, boot_id="before")))
    assert not runtime_of(home).server().running


def test_empty_file_is_no_server(home: Path) -> None:
    """Who died between opening the file and starting the engine started none."""
    (home / "engine.json").touch()
    assert not runtime_of(home).server().running


def test_stop_waits_for_the_exit(home: Path) -> None:
    """Asked politely, it is gone when `stop_server` returns; twice is fine."""
    runtime = runtime_of(home)
    runtime.start_server(["/bin/sleep", "1000"])
    runtime.stop_server(signal=signal.SIGTERM, grace_s=5)
    assert not runtime.server().running
    runtime.stop_server(signal=signal.SIGTERM, grace_s=5)


def test_server_that_does_not_stop_is_killed(home: Path) -> None:
    """After the grace there is no more asking."""
    runtime = runtime_of(home)
    ready = home / "ready"
    code = (
        f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w'); time.sleep(1000)"
    )
    runtime.start_server([sys.executable, "-c", code])
    assert wait_until(ready.exists, 10)
    runtime.stop_server(signal=signal.SIGTERM, grace_s=0.1)
    assert not runtime.server().running


def test_dead_server_says_why(home: Path) -> None:
    """The end of its log comes with the state."""
    runtime = runtime_of(home)
    runtime.start_server(["/bin/sh", "-c", "echo out of luck >&2; exit 3"])
    assert wait_until(lambda: not runtime.server().running, 5)
    assert "out of luck" in runtime.server().log_tail


def test_programs_get_an_almost_empty_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the agent's environment reaches an engine's program."""
    monkeypatch.setenv("PGPASSWORD", "canary")
    done = runtime_of(home).run(["/usr/bin/env"], timeout_s=10, environment={"X": "1"})
    assert set(done.stdout.split()) == {"LC_ALL=C", "X=1"}


def test_run_tells_code_and_tails(home: Path) -> None:
    """Input goes in, both outputs come back, at most 8 KiB of each."""
    script = "cat; head -c 20000 /dev/zero | tr '\\0' x; echo bad >&2; exit 4"
    done = runtime_of(home).run(["/bin/sh", "-c", script], timeout_s=10, stdin=b"hello")
    assert (done.code, done.stderr) == (4, "bad\n")
    assert len(done.stdout) == 8192


def test_program_past_its_time_is_killed_with_its_children(home: Path) -> None:
    """Nothing of it is left."""
    pid_file = home / "child"
    with pytest.raises(OpFailed) as failed:
        runtime_of(home).run(["/bin/sh", "-c", f"sleep 1000 & echo $! > {pid_file}; wait"], timeout_s=0.5)
    assert failed.value.error.code is Code.TIMEOUT
    child = int(pid_file.read_text())
    assert wait_until(lambda: identify(child) is None, 5)


def test_missing_program_is_an_error_not_a_crash(home: Path) -> None:
    """What cannot be started is unavailable."""
    with pytest.raises(OpFailed) as failed:
        runtime_of(home).run(["/no/such/program"], timeout_s=1)
    assert failed.value.error.code is Code.IMAGE_UNAVAILABLE


def test_pipes_carry_bytes_and_exit_codes(home: Path) -> None:
    """Reading to the end and asking how it went."""
    runtime = runtime_of(home)
    with runtime.read_from(["/bin/sh", "-c", "printf data; echo why >&2; exit 5"]) as pipe:
        assert pipe.stream.read() == b"data"
        finished = pipe.finish()
    assert (finished.code, finished.stderr) == (5, "why\n")
    target = home / "copy"
    with runtime.write_to(["/bin/sh", "-c", f"cat > {target}"]) as pipe:
        pipe.stream.write(b"plain")
        assert pipe.finish().code == 0
    assert target.read_bytes() == b"plain"


def test_left_pipe_kills_a_tool_that_waits(home: Path) -> None:
    """A tool that is blocked on a full pipe ends when its reader gives up."""
    with runtime_of(home).read_from(["/bin/sh", "-c", "yes"]) as pipe:
        assert pipe.stream.read(2) == b"y\n"
        program = pipe._program
    assert program.returncode is not None


@as_root
def test_engine_and_its_programs_run_as_the_engines_user(home: Path) -> None:
    """As root, the engine is somebody else, whom no passwd file need know; tools of the agent are the agent."""
    runtime = runtime_of(home, uid=31999)
    assert runtime.run(["/usr/bin/id", "-u"], timeout_s=10).stdout == "31999\n"
    assert runtime.run(["/usr/bin/id", "-G"], timeout_s=10).stdout == "31999\n"
    assert runtime.run(["/usr/bin/id", "-u"], timeout_s=10, as_user="agent").stdout == "0\n"
    assert runtime.run(["/usr/bin/id", "-u"], timeout_s=10, as_user="nobody").stdout == f"{NOBODY}\n"
    runtime.start_server(["/bin/sleep", "1000"])
    pid = runtime.server().pid
    assert Path(f"/proc/{pid}").stat().st_uid == 31999


def test_way_that_is_closed_is_named(tmp_path: Path) -> None:
    """The first directory that the engine's user may not pass is what the message names."""
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & 1:
            path.chmod(0o711)
    (tmp_path / "closed").chmod(0o700)
    assert closed_to(31999, 31999, inner) == tmp_path / "closed"
    (tmp_path / "closed").chmod(0o711)
    assert closed_to(31999, 31999, inner) is None


INSTALL = Install(datastore="toy", version="1")


def test_engine_that_is_not_installed_is_unavailable(home: Path) -> None:
    """This runtime pulls no images; it says where it looked."""
    sources = Sources(server="bin/toyd", image="toy:1", installed=("/opt/toy-1",))
    with pytest.raises(OpFailed, match=r"bin/toyd in /opt/toy-1") as failed:
        runtime_of(home).programs(INSTALL, sources)
    assert failed.value.error.code is Code.IMAGE_UNAVAILABLE


def test_installed_programs_are_found(home: Path) -> None:
    """In the first of the places that holds the server."""
    sources = Sources(server="bin/sleep", installed=("/opt/toy-1", "/usr"))
    assert runtime_of(home).programs(INSTALL, sources).path("bin/sleep") == "/usr/bin/sleep"


def test_package_that_is_not_installed_is_unavailable(home: Path) -> None:
    """With its name in the message."""
    sources = Sources(server="bin/toyd", wheel=Wheel("no-such-engine", "no_such_engine"))
    with pytest.raises(OpFailed, match="no-such-engine"):
        runtime_of(home).programs(INSTALL, sources)


def test_log_of_a_process_that_keeps_it_open_stays_bounded(tmp_path: Path) -> None:
    """Its text moves aside and the file goes on from its beginning."""
    path = tmp_path / "engine.log"
    with (
        open(path, "ab") as file,
        subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=file) as writer,
    ):
        assert writer.stdin is not None
        writer.stdin.write(b"a" * 5000)
        writer.stdin.flush()
        assert wait_until(lambda: path.stat().st_size == 5000, 5)
        bound_log(path, 1000)
        writer.stdin.write(b"b" * 10)
        writer.stdin.close()
    assert path.read_bytes() == b"b" * 10
    assert (tmp_path / "engine.log.1").read_bytes() == b"a" * 1000
