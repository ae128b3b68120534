"""Jobs as real processes: found again, ended for certain, and never with a secret where others could see it."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from tests.support.guest_server import TOY_JOB, toy_layout, without_engine
from tests.support.scratch import short_directory

from muniment.contract.errors import Code
from muniment.contract.messages import JobState
from muniment.contract.ops import Install
from muniment.secret import Secret
from muniment_guest.config import Layout
from muniment_guest.jobs import JobDirectory, ProcessJobs
from muniment_guest.journal import Entry, Progressed
from muniment_guest.processes import marked, wait_until


@pytest.fixture
def layout() -> Iterator[Layout]:
    with short_directory() as home, without_engine(layout := toy_layout(home)):
        yield layout


def jobs_of(layout: Layout, *, asked_s: float = 5.0) -> ProcessJobs:
    return ProcessJobs(layout, program=TOY_JOB, asked_s=asked_s)


def install(version: str) -> Entry:
    return Entry(
        command_id=uuid4(),
        state=Progressed.STARTED,
        at_s=1.0,
        op="server.install",
        args=msgspec.json.encode(Install(datastore="toy", version=version)),
    )


def until(true: Callable[[], object], limit_s: float = 20.0) -> None:
    assert wait_until(lambda: bool(true()), limit_s), "not true in time"


def test_job_runs_to_its_outcome(layout: Layout) -> None:
    """Its result is there once its process has ended, and its files go when it is forgotten."""
    jobs, entry = jobs_of(layout), install("1.0")
    jobs.start(entry, {})
    until(lambda: jobs.look(entry.command_id).outcome)
    outcome = jobs.look(entry.command_id).outcome
    assert outcome is not None
    assert outcome.ok
    assert msgspec.json.decode(outcome.result)["server_version"] == "1.0"
    jobs.forget(entry.command_id)
    assert list(layout.jobs.iterdir()) == []


@pytest.mark.parametrize(("version", "code"), [("fail", Code.IMAGE_UNAVAILABLE), ("bug", Code.INTERNAL)])
def test_failed_job_has_an_outcome_too(layout: Layout, version: str, code: Code) -> None:
    """Both a failure and a defect of the driver are told, the latter without its text."""
    jobs, entry = jobs_of(layout), install(version)
    jobs.start(entry, {})
    until(lambda: jobs.look(entry.command_id).outcome)
    outcome = jobs.look(entry.command_id).outcome
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.code is code
    assert "secret" not in outcome.error.message
    assert "may hold a secret" not in layout.job_log.read_text()


def test_another_agent_finds_the_job(layout: Layout) -> None:
    """A job outlives the object that started it, and its progress is seen by the next one."""
    entry = install("slow")
    jobs_of(layout).start(entry, {})
    successor = jobs_of(layout)
    until(lambda: successor.look(entry.command_id).progress.phase == "sleeping")
    assert successor.look(entry.command_id).state is JobState.RUNNING


def test_asked_to_stop_it_ends_as_cancelled(layout: Layout) -> None:
    """A job that is ended cleans up and says so itself."""
    jobs, entry = jobs_of(layout), install("slow")
    jobs.start(entry, {})
    until(lambda: jobs.look(entry.command_id).progress.phase == "sleeping")
    jobs.end(entry.command_id)
    outcome = jobs.look(entry.command_id).outcome
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.code is Code.CANCELLED


def test_stubborn_job_is_killed_with_its_children(layout: Layout) -> None:
    """What does not stop when asked is killed, and so is every program it started."""
    jobs, entry = jobs_of(layout, asked_s=0.2), install("stubborn")
    jobs.start(entry, {})
    until(lambda: len(marked("MUNIMENT_JOB", str(entry.command_id))) == 2)
    jobs.end(entry.command_id)
    assert marked("MUNIMENT_JOB", str(entry.command_id)) == []
    assert jobs.look(entry.command_id).state is JobState.NEVER


def test_vanished_job_is_noticed_and_can_be_started_again(layout: Layout) -> None:
    """A process that was killed leaves no outcome; the second start is counted."""
    jobs, entry = jobs_of(layout), install("die-once")
    jobs.start(entry, {})
    until(lambda: jobs.look(entry.command_id).state is JobState.NEVER)
    jobs.start(entry, {})
    until(lambda: jobs.look(entry.command_id).outcome)
    assert jobs.look(entry.command_id).starts == 2


def test_programs_of_a_killed_job_do_not_meet_its_successor(layout: Layout) -> None:
    """When only the job's own process was killed, its programs are ended before it is started again."""
    jobs, entry = jobs_of(layout), install("stubborn")
    jobs.start(entry, {})
    until(lambda: len(marked("MUNIMENT_JOB", str(entry.command_id))) == 2)
    process = JobDirectory(layout.jobs / str(entry.command_id)).read_process()
    assert process is not None
    left = [pid for pid in marked("MUNIMENT_JOB", str(entry.command_id)) if pid != process.pid]
    os.kill(process.pid, 9)
    until(lambda: jobs.look(entry.command_id).state is JobState.NEVER)
    jobs.start(entry, {})
    until(lambda: len(marked("MUNIMENT_JOB", str(entry.command_id))) == 2)
    assert not set(left) & set(marked("MUNIMENT_JOB", str(entry.command_id)))


def test_secrets_are_nowhere_but_in_the_pipe(layout: Layout) -> None:
    """Not in arguments, not in the environment, not in any file."""
    jobs, entry = jobs_of(layout), install("slow")
    jobs.start(entry, {"data_key": Secret(b"canary-0815")})
    until(lambda: jobs.look(entry.command_id).progress.phase == "sleeping")
    process = JobDirectory(layout.jobs / str(entry.command_id)).read_process()
    assert process is not None
    proc = Path("/proc") / str(process.pid)
    assert b"canary" not in (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
    for folder in (layout.state, layout.logs, layout.run):
        for path in folder.rglob("*"):
            assert not path.is_file() or b"canary" not in path.read_bytes(), path


def test_job_without_all_of_its_secrets_does_nothing(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that dies while it hands them over leaves a lost job, not one that goes on with half of them."""
    monkeypatch.setattr("muniment_guest.jobs.encode_secrets", lambda secrets: b"\x81\xa8data_key\xc4\x20half")
    jobs, entry = jobs_of(layout), install("1.0")
    jobs.start(entry, {"data_key": Secret(b"k" * 32)})
    until(lambda: jobs.look(entry.command_id).state is JobState.NEVER)
    assert jobs.look(entry.command_id).outcome is None


def test_looking_never_takes_the_job_for_gone(layout: Layout) -> None:
    """From the start on there is no moment in which a running job looks lost."""
    jobs, entry = jobs_of(layout), install("slow")
    jobs.start(entry, {})
    until_s = time.monotonic() + 1.0
    states = set()
    while time.monotonic() < until_s:
        states.add(jobs.look(entry.command_id).state)
    assert states == {JobState.RUNNING}


def test_sweep_keeps_only_what_runs(layout: Layout) -> None:
    """Files of a job whose outcome was journaled just before a crash are removed."""
    jobs, old, running = jobs_of(layout), install("1.0"), install("slow")
    jobs.start(old, {})
    until(lambda: jobs.look(old.command_id).outcome)
    jobs.start(running, {})
    jobs.sweep(running.command_id)
    assert [path.name for path in layout.jobs.iterdir()] == [str(running.command_id)]
