"""What only containers promise: hardened, kept in, restarted by Docker when they fail and by the agent alone after a boot."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.containers import SOCKET, docker_tests
from tests.support.runtimes import IMAGE, RuntimeBench, open_bench

from muniment.contract.errors import Code, OpFailed
from muniment_guest.processes import wait_until
from muniment_guest.runtimes.docker import runtime as module
from muniment_guest.runtimes.docker.clearing import clear
from muniment_guest.runtimes.docker.engine import of_instance, open_engine
from muniment_guest.runtimes.docker.network import network_name
from muniment_guest.runtimes.docker.runtime import DockerRuntime, server_name

pytestmark = docker_tests(IMAGE)


@pytest.fixture
def bench() -> Iterator[RuntimeBench]:
    with open_bench("docker") as made:
        yield made


def _runtime(bench: RuntimeBench) -> DockerRuntime:
    assert isinstance(bench.runtime, DockerRuntime)
    return bench.runtime


def _name(bench: RuntimeBench) -> str:
    return server_name(_runtime(bench)._instance_id)


def _inspect(bench: RuntimeBench) -> dict[str, Any]:
    found: dict[str, Any] = _runtime(bench)._engine.inspect_container(_name(bench))
    return found


def _inside(bench: RuntimeBench, script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["docker", "exec", _name(bench), "/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )


def test_engine_is_hardened(bench: RuntimeBench) -> None:
    """By what the kernel says of the process: no capability, none to be had, no room beyond its flavor, nothing to write."""
    bench.runtime.start_server(["/bin/sleep", "1000"])
    pid = bench.runtime.server().pid
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == [str(bench.user.uid)] * 4
    assert "Read-only file system" in _inside(bench, "echo x >/x").stderr
    host = _inspect(bench)["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 256 * 1024 * 1024
    assert host["PidsLimit"] == 512
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["LogConfig"]["Config"] == {"max-size": "8m", "max-file": "2"}
    assert not host["Privileged"]


def test_engine_is_restarted_when_it_fails(bench: RuntimeBench) -> None:
    """By Docker, so that no agent need live."""
    bench.runtime.start_server(["/bin/sleep", "1000"])
    before = bench.runtime.server().pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert wait_until(lambda: bench.runtime.server().pid not in (None, 0, before), 10)
    assert _inspect(bench)["RestartCount"] == 1


def test_no_boot_starts_an_engine(bench: RuntimeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that was made in another boot ends at once, as one that succeeded, which nobody restarts."""
    monkeypatch.setattr(module, "boot_id", lambda: "the boot before")
    bench.runtime.start_server(["/bin/sleep", "1000"])
    assert wait_until(lambda: not bench.runtime.server().running, 10)
    assert bench.runtime.server().exit_code == 0
    monkeypatch.undo()
    bench.runtime.start_server(["/bin/sleep", "1000"])
    assert bench.runtime.server().running


def test_engine_cannot_reach_its_host(bench: RuntimeBench) -> None:
    """Not by its gateway's address, where a host listens on all of them; without the rule it would."""
    bench.runtime.start_server(["/bin/sleep", "1000"])
    (network,) = _inspect(bench)["NetworkSettings"]["Networks"].values()
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]
        script = f"timeout 2 bash -c '</dev/tcp/{network['Gateway']}/{port}'"
        assert _inside(bench, script).returncode == 124
        # The rule is for all bridges, and other tests count on it: it is passed by for this one.
        bridge = network_name(_runtime(bench)._instance_id)
        _pass_by("-I", bridge)
        try:
            assert _inside(bench, script).returncode == 0
        finally:
            _pass_by("-D", bridge)


def test_engine_cannot_reach_beyond(bench: RuntimeBench) -> None:
    """Neither a metadata service nor, through Docker, a resolver."""
    bench.runtime.start_server(["/bin/sleep", "1000"])
    assert _inside(bench, "timeout 2 bash -c '</dev/tcp/169.254.169.254/80'").returncode == 124
    nameservers = _inspect(bench)["HostConfig"]["Dns"]
    assert nameservers == ["192.0.2.1"]


def test_clients_reach_the_engine(bench: RuntimeBench) -> None:
    """At the address that was published, and the answers come out."""
    runtime = _runtime(bench)
    script = (
        "use IO::Socket::INET; my $l = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 1) or die; "
    )
    script += "while (my $c = $l->accept) { print $c qq(hello\\n); close $c }"
    bench.runtime.start_server(["/usr/bin/perl", "-e", script, str(runtime._port)])

    def answer() -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", runtime._port), timeout=5) as client:
                return client.recv(16)
        except OSError:
            return b""

    assert wait_until(lambda: answer() == b"hello\n", 10)


def test_clearing_leaves_nothing(bench: RuntimeBench) -> None:
    """No container and no bridge; the second time there is nothing to do."""
    bench.runtime.start_server(["/bin/sleep", "1000"])
    instance_id = _runtime(bench)._instance_id
    assert Path("/sys/class/net", network_name(instance_id)).exists()
    for _ in range(2):
        clear(SOCKET, instance_id)
        assert not Path("/sys/class/net", network_name(instance_id)).exists()
        assert not bench.runtime.server().running


def test_without_a_docker_engine_it_says_so(tmp_path: Path) -> None:
    """One sentence that names the socket and what to do."""
    with pytest.raises(OpFailed, match=re.escape(str(tmp_path))) as failed:
        open_engine(str(tmp_path / "docker.sock"))
    assert failed.value.error.code is Code.PRECONDITION_FAILED
    assert failed.value.error.retryable


def test_tools_of_a_killed_process_are_removed_by_the_next(bench: RuntimeBench) -> None:
    """Its container and the directory of its streams; the server is no tool."""
    bench.runtime.start_server(["/bin/sleep", "1000"])
    user = os.fork()
    if user == 0:
        bench.again().run(["/bin/sleep", "2000"], timeout_s=60)
        os._exit(0)
    assert wait_until(lambda: len(_all_containers(bench)) == 2, 10)
    os.kill(user, signal.SIGKILL)
    os.waitpid(user, 0)
    bench.again().run(["/bin/true"], timeout_s=30)
    assert _all_containers(bench) == [f"/{_name(bench)}"]
    assert list(_runtime(bench)._io.iterdir()) == []
    assert bench.runtime.server().running


def _all_containers(bench: RuntimeBench) -> list[str]:
    found = _runtime(bench)._engine.containers(all=True, filters=of_instance(_runtime(bench)._instance_id))
    return [str(container["Names"][0]) for container in found]


def test_tool_that_is_taken_away_is_no_timeout(bench: RuntimeBench) -> None:
    """Somebody removes its container: it is worth another try at once."""
    runtime = _runtime(bench)
    with bench.runtime.read_from(["/bin/cat"]) as pipe:
        (container,) = runtime._engine.containers(all=True, filters=of_instance(runtime._instance_id))
        runtime._engine.remove_container(container["Id"], force=True)
        with pytest.raises(OpFailed, match="was taken away") as failed:
            pipe.finish()
    assert (failed.value.error.code, failed.value.error.retryable) == (Code.INTERNAL, True)


def test_no_secret_is_in_what_docker_keeps(bench: RuntimeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the agent's environment nor a tool's input is in a container's description."""
    monkeypatch.setenv("PGPASSWORD", "canary-in-environment")
    bench.runtime.run(["/bin/cat"], timeout_s=30, stdin=b"canary-in-input")
    bench.runtime.start_server(["/bin/sleep", "1000"])
    assert "canary" not in json.dumps(_inspect(bench))


def _pass_by(how: str, bridge: str) -> None:
    argv = ["iptables", "--wait", "-t", "mangle", how, "PREROUTING", "-i", bridge, "-j", "ACCEPT"]
    subprocess.run(argv, check=True)
