"""The whole agent but for its process: commands through sealed envelopes, real jobs and a real (if sleepy) engine."""

import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from uuid import uuid4

import msgspec
import pytest
from tests.support.agent_bench import AgentBench
from tests.support.guest_server import TOY_JOB, toy_driver, toy_layout, without_engine
from tests.support.scratch import short_directory

from muniment.bus.transports.memory import MemoryNetwork
from muniment.clock import SystemClock
from muniment.contract import ops
from muniment.contract.errors import Code
from muniment.contract.messages import Beat, HealthState, JobState, Outcome, Progress
from muniment.contract.ops import OPS
from muniment_guest.agent import Agent
from muniment_guest.identity import IdentityFiles
from muniment_guest.machine import ENGINE_MARK
from muniment_guest.processes import ProcessId, is_alive, wait_until
from muniment_guest.work import DRIVER_OPS


@pytest.fixture
def bench() -> Iterator[AgentBench]:
    with short_directory() as home, without_engine(layout := toy_layout(home)):
        bench = AgentBench(layout, toy_driver(), job_program=TOY_JOB)
        yield bench
        bench.agent.close()


@pytest.fixture
def running(bench: AgentBench) -> AgentBench:
    """One whose engine runs."""
    prepare(bench)
    succeeds(bench.do("server.bootstrap", ops.Bootstrap(base_config={}, memory_mib=64)))
    return bench


def prepare(bench: AgentBench) -> None:
    wanted = ops.PrepareVolume(volume_id="v", filesystem_uuid=uuid4(), size_gib=1)
    succeeds(bench.do("volume.prepare", wanted))


def succeeds(outcome: Outcome) -> Outcome:
    assert outcome.ok, outcome.error
    return outcome


def code_of(outcome: Outcome) -> Code:
    assert outcome.error is not None
    return outcome.error.code


def engine_of(bench: AgentBench) -> ProcessId:
    return msgspec.json.decode(bench.layout.engine_pid.read_bytes(), type=ProcessId)


def health_of(bench: AgentBench) -> HealthState | None:
    beats = [beat.health for beat in bench.console.all(Beat) if beat.health is not None]
    return beats[-1].state if beats else None


def install(version: str) -> ops.Install:
    return ops.Install(datastore="toy", version=version)


def test_every_op_of_the_contract_has_somebody_to_do_it() -> None:
    """Either the agent itself or the driver."""
    own = {
        "agent.describe",
        "agent.shutdown",
        "job.status",
        "job.cancel",
        "volume.prepare",
        "volume.stats",
        "volume.grow",
    }
    assert set(OPS) == own | DRIVER_OPS
    assert not own & DRIVER_OPS


def test_enrolled_agent_shows_its_key_and_has_burned_its_token(bench: AgentBench) -> None:
    """The first thing it says is a full beat; the token's file is gone."""
    bench.until(lambda: bench.console.all(Beat))
    beat = bench.console.all(Beat)[0]
    assert (len(beat.public_key), beat.driver) == (32, "toy")
    assert not bench.layout.token.exists()


def test_agent_that_dies_while_it_enrols_is_let_in_after_its_restart(bench: AgentBench) -> None:
    """Its successor sends the very same request, since only that one is answered."""
    bench.console.refuses_enrolment = True
    bench.agent.step(wait_s_max=0.01)
    key = IdentityFiles(bench.layout.state, bench.layout.token).enrolling_key().private_bytes_raw()
    bench.agent.close()
    bench.console.refuses_enrolment = False
    bench.start()
    bench.until(lambda: bench.console.all(Beat))
    assert not (bench.layout.state / "enrolling.key").exists()
    assert key not in b"".join(path.read_bytes() for path in bench.layout.state.iterdir() if path.is_file())


def test_restarted_agent_is_still_believed_and_has_a_new_key(bench: AgentBench) -> None:
    """It keeps its root key, takes a higher session, and shows the new key to which secrets are to be sealed."""
    bench.until(lambda: bench.console.all(Beat))
    before = bench.console.public_key
    bench.agent.close()
    bench.start()
    bench.until(lambda: bench.console.public_key != before)


def test_engine_is_bootstrapped_and_healthy(running: AgentBench) -> None:
    """The change of health is said at once, in full."""
    running.until(lambda: health_of(running) is HealthState.HEALTHY)
    assert running.console.all(Beat)[-1].volume is not None


def test_command_repeated_after_a_restart_acts_once(running: AgentBench) -> None:
    """The journal, not the process, remembers."""
    command_id = uuid4()
    running.console.send("db.create", ops.DatabaseSpec(name="a"), command_id=command_id)
    running.until(lambda: running.console.outcome(command_id))
    (running.layout.config_file.parent / "volume" / "data" / "a").rmdir()
    running.agent.close()
    running.start()
    running.console.said.clear()
    running.console.send("db.create", ops.DatabaseSpec(name="a"), command_id=command_id)
    running.until(lambda: running.console.outcome(command_id))
    assert os.listdir(Path(running.layout.config.volume_device) / "data") == []


def test_command_refused_as_busy_does_not_act_when_replayed_after_a_restart(running: AgentBench) -> None:
    """The journal does not know it, so the window of what was heard has to outlive the process."""
    job = running.console.send("server.install", install("slow"))
    running.until(lambda: running.console.all(Progress))
    refused = running.console.send("db.create", ops.DatabaseSpec(name="late"))
    running.until(lambda: running.console.outcome(refused))
    assert (
        code_of(next(said for said in running.console.all(Outcome) if said.command_id == refused))
        is Code.BUSY
    )
    succeeds(running.do("job.cancel", ops.JobRef(command_id=job)))
    running.agent.close()
    running.start()
    running.console.said.clear()
    running.console.replay(refused)
    # Messages come in order: once this one is answered, the replay has been dealt with.
    listed = msgspec.json.decode(running.do("db.list", ops.Page()).result, type=ops.Databases)
    assert (listed.items, running.console.outcome(refused)) == ((), None)
    assert running.agent._link.rejected["replayed"]


def test_job_goes_on_while_the_agent_is_away(bench: AgentBench) -> None:
    """A job started by one agent is reported on and ended by the next."""
    command_id = bench.console.send("server.install", install("slow"))
    bench.until(lambda: bench.console.all(Progress))
    bench.agent.close()
    bench.start()
    bench.console.said.clear()
    bench.until(lambda: any(said.phase == "sleeping" for said in bench.console.all(Progress)))
    outcome = succeeds(bench.do("job.cancel", ops.JobRef(command_id=command_id)))
    report = msgspec.json.decode(outcome.result, type=ops.JobReport)
    assert report.state is JobState.FINISHED
    assert report.outcome is not None
    assert code_of(report.outcome) is Code.CANCELLED


def test_job_whose_process_vanishes_is_done_again(bench: AgentBench) -> None:
    """Killed in the middle, it still comes to its outcome; killed each time, it is given up."""
    succeeds(bench.do("server.install", install("die-once")))
    assert code_of(bench.do("server.install", install("die"))) is Code.LOST


def test_raised_epoch_ends_a_real_job(bench: AgentBench) -> None:
    """The next command under a higher epoch finds a guest that is free."""
    job = bench.console.send("server.install", install("slow"))
    bench.until(lambda: bench.console.all(Progress))
    prepare_epoch = bench.do(
        "volume.prepare", ops.PrepareVolume(volume_id="v", filesystem_uuid=uuid4(), size_gib=1), epoch=2
    )
    succeeds(prepare_epoch)
    status = succeeds(bench.do("job.status", ops.JobRef(command_id=job), epoch=2))
    assert msgspec.json.decode(status.result, type=ops.JobReport).state is JobState.FINISHED


def test_stale_command_has_no_effect(running: AgentBench) -> None:
    """Under an epoch that was overtaken nothing is done."""
    succeeds(running.do("db.create", ops.DatabaseSpec(name="a"), epoch=3))
    assert code_of(running.do("db.create", ops.DatabaseSpec(name="b"), epoch=2)) is Code.STALE_EPOCH
    listed = msgspec.json.decode(running.do("db.list", ops.Page(), epoch=3).result, type=ops.Databases)
    assert [database.name for database in listed.items] == ["a"]


def test_expired_envelope_has_no_effect(running: AgentBench) -> None:
    """It is counted, not answered; asked about it, the guest promises never to do it."""
    command_id = running.console.send("db.create", ops.DatabaseSpec(name="late"), lives_s=5, ago_s=6)
    running.until(lambda: running.agent._link.rejected["expired"])
    status = succeeds(running.do("job.status", ops.JobRef(command_id=command_id)))
    assert msgspec.json.decode(status.result, type=ops.JobReport).state is JobState.NEVER


def test_unknown_op_and_lacking_capability_are_unsupported(running: AgentBench) -> None:
    """With the reason."""
    assert code_of(running.do("volume.explode", ops.Nothing())) is Code.UNSUPPORTED
    outcome = running.do("user.list", ops.Page())
    assert code_of(outcome) is Code.UNSUPPORTED


def test_dead_engine_is_reported_and_started_again(running: AgentBench) -> None:
    """Killed from outside, it is crashed for a moment and healthy again."""
    running.until(lambda: health_of(running) is HealthState.HEALTHY)
    running.console.said.clear()
    first = engine_of(running)
    os.kill(first.pid, signal.SIGKILL)
    running.until(lambda: health_of(running) is HealthState.HEALTHY)
    states = [beat.health.state for beat in running.console.all(Beat) if beat.health is not None]
    assert states == [HealthState.CRASHED, HealthState.HEALTHY]
    assert engine_of(running) != first


def test_engine_that_does_not_start_is_reported_as_crashed(running: AgentBench) -> None:
    """And tried again until it does."""
    running.until(lambda: health_of(running) is HealthState.HEALTHY)
    (running.layout.engine_config / "broken").touch()
    os.kill(engine_of(running).pid, signal.SIGKILL)
    running.until(lambda: health_of(running) is HealthState.CRASHED)
    (running.layout.engine_config / "broken").unlink()
    running.until(lambda: health_of(running) is HealthState.HEALTHY)


def test_stopped_engine_stays_stopped(running: AgentBench) -> None:
    """Also over a restart of the agent: only what is meant to run is started."""
    succeeds(running.do("server.stop", ops.StopServer()))
    running.until(lambda: health_of(running) is HealthState.STOPPED)
    running.agent.close()
    running.start()
    assert running.agent._journal.mark(ENGINE_MARK) == "off"
    succeeds(running.do("health.probe", ops.Nothing()))
    assert not is_alive(engine_of(running))
    succeeds(running.do("server.start", ops.Nothing()))
    assert is_alive(engine_of(running))


def test_engine_outlives_the_agent_and_is_found(running: AgentBench) -> None:
    """An agent that ends leaves it alone."""
    engine = engine_of(running)
    running.agent.close()
    running.console.said.clear()
    running.start()
    running.until(lambda: health_of(running) is HealthState.HEALTHY)
    assert engine_of(running) == engine


def test_powered_off_server_comes_back(running: AgentBench) -> None:
    """As after a boot of the machine: the agent attaches the volume and starts what is meant to run."""
    engine = engine_of(running)
    running.agent.power_off()
    running.agent.close()
    assert not is_alive(engine)
    running.console.said.clear()
    running.start()
    running.until(lambda: health_of(running) is HealthState.HEALTHY)
    assert is_alive(engine_of(running))


def test_shut_down_server_stays_down(running: AgentBench) -> None:
    """`agent.shutdown` comes before a delete: nothing is attached or started again."""
    succeeds(running.do("agent.shutdown", ops.Nothing()))
    running.agent.close()
    running.start()
    succeeds(running.do("health.probe", ops.Nothing()))
    assert not is_alive(engine_of(running))
    assert not running.layout.prepared.exists()


def test_unreachable_control_plane_does_not_stop_the_engine(running: AgentBench) -> None:
    """Out of reach, the agent goes on looking after the engine, and says everything later."""
    running.until(lambda: health_of(running) is HealthState.HEALTHY)
    instance_id = running.layout.config.instance_id
    running.network.cut(instance_id)
    first = engine_of(running)
    os.kill(first.pid, signal.SIGKILL)
    assert wait_until(lambda: (running.agent.step(wait_s_max=0.01), engine_of(running) != first)[1], 20)
    running.network.heal(instance_id)
    running.console.said.clear()
    running.until(lambda: health_of(running) is HealthState.HEALTHY)


def test_clock_that_goes_on_between_two_looks_takes_no_time_back() -> None:
    """Out of reach, the moment of the next contact may pass while the pause before it is being reckoned."""
    looks, pauses = count(step=0.1), list[float]()
    with short_directory() as home, without_engine(layout := toy_layout(home)):
        network = MemoryNetwork(SystemClock(), Random(1))
        network.cut(layout.config.instance_id)
        agent = Agent(
            layout,
            toy_driver(),
            network.guest(layout.config.instance_id),
            SystemClock(),
            elapsed=lambda: next(looks),
            pause=pauses.append,
        )
        for _ in range(200):
            agent.step()
        agent.close()

    assert pauses
    assert min(pauses) >= 0.0


def test_volume_tells_that_its_size_is_advisory(running: AgentBench) -> None:
    """A directory is not a limit."""
    facts = msgspec.json.decode(succeeds(running.do("volume.stats", ops.Nothing())).result)
    assert (facts["filesystem"], facts["enforced"]) == ("directory", False)
