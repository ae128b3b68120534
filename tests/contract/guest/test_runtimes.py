"""What every runtime does, whatever it runs engines in. The engine is a small shell program."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.runtimes import RUNTIMES, RuntimeBench, open_bench

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import Pipe
from muniment_guest.processes import wait_until

COUNTER = "trap 'exit 0' TERM; echo begun >&2; while :; do echo x >>{place}/ticks; sleep 0.01; done"
"""An engine that works: it lengthens a file in its data directory until it is told to stop."""


@pytest.fixture(params=RUNTIMES)
def bench(request: pytest.FixtureRequest) -> Iterator[RuntimeBench]:
    with open_bench(request.param) as made:
        yield made


def _ticks(bench: RuntimeBench) -> int:
    file = bench.data.outside / "ticks"
    return file.stat().st_size if file.exists() else 0


def _breaks(pipe: Pipe) -> bool:
    try:
        for _ in range(1000):
            pipe.stream.write(bytes(100_000))
    except BrokenPipeError:
        return True
    return False


def _works(bench: RuntimeBench) -> bool:
    before = _ticks(bench)
    return wait_until(lambda: _ticks(bench) > before, 5)


def _start(bench: RuntimeBench) -> None:
    bench.runtime.start_server(["/bin/sh", "-c", COUNTER.format(place=bench.data.inside)])


def test_programs_are_found(bench: RuntimeBench) -> None:
    """Wherever they come from, the driver names them below their prefix."""
    found = bench.runtime.programs(bench.install, bench.sources)
    assert bench.runtime.run([found.path("bin/env")], timeout_s=30).code == 0
    assert bench.runtime.programs(bench.install, bench.sources) == found


def test_run_tells_code_and_tails(bench: RuntimeBench) -> None:
    """Input goes in, both outputs come back, at most 8 KiB of each."""
    script = "cat; head -c 20000 /dev/zero | tr '\\0' x; echo bad >&2; exit 4"
    done = bench.runtime.run(["/bin/sh", "-c", script], timeout_s=30, stdin=b"hello")
    assert (done.code, done.stderr) == (4, "bad\n")
    assert len(done.stdout) == 8192


def test_programs_get_an_almost_empty_environment(
    bench: RuntimeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the agent's environment reaches an engine's program."""
    monkeypatch.setenv("PGPASSWORD", "canary")
    done = bench.runtime.run(["/usr/bin/env"], timeout_s=30, environment={"X": "1"})
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert {"LC_ALL", "X"} <= names <= {"LC_ALL", "X", "PATH", "HOME", "HOSTNAME", "LANG", "PWD"}
    assert "canary" not in done.stdout


def test_program_past_its_time_is_killed(bench: RuntimeBench) -> None:
    """Nothing of it is left at work."""
    with pytest.raises(OpFailed) as failed:
        bench.runtime.run(["/bin/sh", "-c", COUNTER.format(place=bench.data.inside)], timeout_s=1.5)
    assert failed.value.error.code is Code.TIMEOUT
    reached = _ticks(bench)
    time.sleep(0.3)
    assert _ticks(bench) == reached > 0


def test_missing_program_is_an_error_not_a_crash(bench: RuntimeBench) -> None:
    """What cannot be started is unavailable."""
    with pytest.raises(OpFailed) as failed:
        bench.runtime.run(["/no/such/program"], timeout_s=30)
    assert failed.value.error.code is Code.IMAGE_UNAVAILABLE


def test_users(bench: RuntimeBench) -> None:
    """The engine is whom it was said to be; tools of the agent are the agent."""
    assert bench.runtime.run(["/usr/bin/id", "-u"], timeout_s=30).stdout == f"{bench.user.uid}\n"
    as_agent = bench.runtime.run(["/usr/bin/id", "-u"], timeout_s=30, as_user="agent")
    assert as_agent.stdout == f"{os.geteuid()}\n"


def test_pipes_carry_bytes_and_exit_codes(bench: RuntimeBench) -> None:
    """Reading to the end and writing to the end, and asking how it went."""
    script = "head -c 5000000 /dev/zero; printf data; echo why >&2; exit 5"
    with bench.runtime.read_from(["/bin/sh", "-c", script]) as pipe:
        assert pipe.stream.read() == bytes(5_000_000) + b"data"
        finished = pipe.finish()
    assert (finished.code, finished.stderr) == (5, "why\n")
    with bench.runtime.write_to(["/bin/sh", "-c", f"cat > {bench.data.inside}/copy"]) as pipe:
        pipe.stream.write(b"p" * 3_000_000)
        assert pipe.finish().code == 0
    assert (bench.data.outside / "copy").read_bytes() == b"p" * 3_000_000


def test_pipe_of_a_tool_that_fails_at_once_ends(bench: RuntimeBench) -> None:
    """It has no bytes and a code; nobody waits for ever."""
    with bench.runtime.read_from(["/bin/sh", "-c", "exit 3"]) as pipe:
        assert pipe.stream.read() == b""
        assert pipe.finish().code == 3
    with bench.runtime.write_to(["/bin/sh", "-c", "exit 3"]) as pipe:
        assert _breaks(pipe)
        assert pipe.finish().code == 3


def test_left_pipe_kills_a_tool_that_waits(bench: RuntimeBench) -> None:
    """A tool that is blocked on a full pipe ends when its reader gives up."""
    with bench.runtime.read_from(["/bin/sh", "-c", "yes unfinished-business"]) as pipe:
        assert pipe.stream.read(2) == b"un"
    assert wait_until(lambda: not _of_command("unfinished-business"), 10)


def test_server_is_found_by_a_successor_and_started_once(bench: RuntimeBench) -> None:
    """A server runs detached and is known by what lies on disk alone."""
    _start(bench)
    pid = bench.again().server().pid
    assert pid is not None
    bench.again().start_server(["/bin/false"])
    assert bench.runtime.server().pid == pid
    assert Path(f"/proc/{pid}").stat().st_uid == bench.user.uid
    assert _works(bench)


def test_server_stops_when_told_and_starts_again(bench: RuntimeBench) -> None:
    """Asked politely, it is gone when `stop_server` returns; twice is fine."""
    _start(bench)
    assert _works(bench)
    for _ in range(2):
        bench.runtime.stop_server(signal=signal.SIGTERM, grace_s=10)
        assert not bench.runtime.server().running
    _start(bench)
    assert _works(bench)


def test_server_that_does_not_stop_is_killed(bench: RuntimeBench) -> None:
    """After the grace there is no more asking."""
    bench.runtime.start_server(
        ["/bin/sh", "-c", f"trap '' TERM; while :; do echo x >>{bench.data.inside}/ticks; sleep 0.01; done"]
    )
    assert _works(bench)
    bench.runtime.stop_server(signal=signal.SIGTERM, grace_s=0.2)
    assert not bench.runtime.server().running


def test_dead_server_says_why(bench: RuntimeBench) -> None:
    """The end of its log comes with the state."""
    bench.runtime.start_server(["/bin/sh", "-c", "echo out of luck >&2; exit 0"])
    assert wait_until(lambda: not bench.runtime.server().running, 10)
    assert "out of luck" in bench.runtime.server().log_tail


def test_engine_stands_still_and_goes_on(bench: RuntimeBench) -> None:
    """No process of it runs inside the block, and all of them after it."""
    _start(bench)
    assert _works(bench)
    with bench.runtime.standstill():
        reached = _ticks(bench)
        time.sleep(0.3)
        assert _ticks(bench) == reached
        assert bench.again().server().running
        time.sleep(0.1)
        assert _ticks(bench) == reached
    assert _works(bench)


def test_what_does_not_run_cannot_stand_still(bench: RuntimeBench) -> None:
    """It is refused, and the block is not entered."""
    with pytest.raises(OpFailed) as failed, bench.runtime.standstill():
        pytest.fail("nothing runs")
    assert failed.value.error.code is Code.PRECONDITION_FAILED


def test_killed_holder_leaves_no_standstill(bench: RuntimeBench) -> None:
    """A look at the engine lets it go on, when nobody holds it any more."""
    _start(bench)
    assert _works(bench)
    holder = os.fork()
    if holder == 0:
        with bench.again().standstill():
            (bench.data.outside / "held").touch()
            time.sleep(60)
        os._exit(0)
    assert wait_until((bench.data.outside / "held").exists, 10)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    reached = _ticks(bench)
    time.sleep(0.2)
    assert _ticks(bench) == reached
    assert bench.again().server().running
    assert _works(bench)


def _of_command(word: str) -> list[int]:
    """Processes with this word among their arguments."""
    found = subprocess.run(["pgrep", "-f", word], capture_output=True, text=True, check=False).stdout.split()
    return [int(pid) for pid in found if int(pid) not in (os.getpid(), os.getppid())]
