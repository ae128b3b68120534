"""The agent's machine, rule by rule: what a command may do, and what is remembered before it does."""

from collections.abc import Mapping
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.guest_ports import Crash, MemoryJobs, MemoryJournal, RecordingDuties

from muniment.clock import ManualClock, seconds
from muniment.contract import ops
from muniment.contract.errors import Code, GuestError, OpFailed
from muniment.contract.messages import (
    Ack,
    Command,
    FromGuest,
    JobState,
    Outcome,
    Progress,
    SealedSecret,
    Verdict,
)
from muniment.fault import Fault
from muniment.secret import Secret
from muniment_guest.duties import JobProgress
from muniment_guest.journal import Entry
from muniment_guest.machine import ENGINE_MARK, Machine

ACT, JOB, QUERY = "db.create", "server.install", "db.list"


class World:
    """A machine with its ports."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal()
        self.duties = RecordingDuties()
        self.jobs = MemoryJobs()
        self.machine = self.restarted()

    def restarted(self) -> Machine:
        self.machine = Machine(self.journal, self.duties, self.jobs, self.clock)
        return self.machine

    def hear(
        self,
        op: str = ACT,
        *,
        command_id: UUID | None = None,
        epoch: int = 1,
        lives_s: float = 60.0,
        args: bytes = b"{}",
        version: int = 1,
        secrets: Mapping[str, Secret] | OpFailed | None = None,
    ) -> list[FromGuest]:
        command = Command(
            command_id=command_id or uuid4(),
            op=op,
            op_version=version,
            instance_epoch=epoch,
            args=args,
            secrets=() if secrets is None else (SealedSecret(name="password", sealed=b"x"),),
        )

        def opened() -> Mapping[str, Secret]:
            if isinstance(secrets, OpFailed):
                raise secrets
            return secrets or {}

        expires_s = seconds(self.clock.now()) + lives_s
        return self.machine.hear(command, expires_s=expires_s, secrets=opened)

    def ask(self, op: str, command_id: UUID, *, epoch: int = 1) -> ops.JobReport:
        (said,) = self.hear(op, args=msgspec.json.encode(ops.JobRef(command_id=command_id)), epoch=epoch)
        assert isinstance(said, Outcome)
        assert said.ok
        return msgspec.json.decode(said.result, type=ops.JobReport)


@pytest.fixture
def world() -> World:
    return World()


def only(said: list[FromGuest]) -> Outcome:
    (outcome,) = said
    assert isinstance(outcome, Outcome)
    return outcome


def code_of(said: list[FromGuest]) -> Code:
    outcome = only(said)
    assert outcome.error is not None
    return outcome.error.code


def done(command_id: UUID) -> Outcome:
    return Outcome(command_id=command_id, ok=True, result=b"{}")


def test_act_acts_and_answers(world: World) -> None:
    """An act is carried out at once and its outcome said."""
    assert only(world.hear(args=b'{"name":"x"}')).ok
    assert world.duties.acts == [(ACT, b'{"name":"x"}', {})]


def test_repeated_act_answers_the_same_and_acts_once(world: World) -> None:
    """The second copy of a command gets the recorded outcome."""
    command_id = uuid4()
    first = world.hear(command_id=command_id)
    world.clock.advance(5)
    assert world.hear(command_id=command_id) == first
    assert len(world.duties.acts) == 1


def test_recorded_outcome_is_given_even_past_the_expiry(world: World) -> None:
    """The journal is looked at before the clock: what was done can still be told."""
    command_id = uuid4()
    first = world.hear(command_id=command_id)
    assert world.hear(command_id=command_id, lives_s=-1) == first


def test_failed_act_is_only_repeated_too(world: World) -> None:
    """A failure is an outcome like any other: a new try comes with a new id."""
    world.duties = RecordingDuties(lambda op, args: fail(OpFailed(Code.DB_REFUSED, "no")))
    world.restarted()
    command_id = uuid4()
    assert code_of(world.hear(command_id=command_id)) is Code.DB_REFUSED
    assert code_of(world.hear(command_id=command_id)) is Code.DB_REFUSED
    assert len(world.duties.acts) == 1


def test_bug_of_a_driver_is_internal_and_tells_nothing(world: World) -> None:
    """An unexpected exception becomes `internal`; its text, which may hold a secret, goes nowhere."""
    world.duties = RecordingDuties(lambda op, args: fail(ValueError("hunter2")))
    world.restarted()
    outcome = only(world.hear())
    assert outcome.error is not None
    assert outcome.error.code is Code.INTERNAL
    assert "hunter2" not in outcome.error.message
    assert "ValueError" in outcome.error.message


def test_expired_command_does_nothing(world: World) -> None:
    """A command past its expiry is refused and not journaled."""
    command_id = uuid4()
    assert code_of(world.hear(command_id=command_id, lives_s=0)) is Code.EXPIRED
    assert world.duties.acts == []
    assert world.journal.find(command_id) is None


def test_expired_command_raises_no_epoch(world: World) -> None:
    """Expiry is checked before a newer epoch is believed."""
    world.hear(lives_s=-1, epoch=7)
    assert world.journal.epoch == 0


def test_stale_epoch_does_nothing(world: World) -> None:
    """A command under a lower epoch than one that was heard is refused, whatever else it is."""
    world.hear(epoch=2)
    command_id = uuid4()
    assert code_of(world.hear(command_id=command_id, epoch=1, lives_s=-1)) is Code.STALE_EPOCH
    assert len(world.duties.acts) == 1
    assert world.journal.find(command_id) is None


def test_stale_repetition_of_a_done_command_is_stale(world: World) -> None:
    """The epoch is checked before the journal."""
    command_id = uuid4()
    world.hear(command_id=command_id, epoch=1)
    world.hear(epoch=2)
    assert code_of(world.hear(command_id=command_id, epoch=1)) is Code.STALE_EPOCH


def test_job_is_started_and_acknowledged(world: World) -> None:
    """A job gets an acknowledgement at once and its outcome when it ends."""
    command_id = uuid4()
    assert world.hear(JOB, command_id=command_id) == [Ack(command_id=command_id, verdict=Verdict.ACCEPTED)]
    assert world.jobs.running() == [command_id]
    world.jobs.finish(done(command_id))
    assert world.machine.tend() == [done(command_id)]
    assert not world.machine.is_busy


def test_repeated_running_job_is_met_with_silence(world: World) -> None:
    """A second copy of a running job starts nothing and is not answered."""
    command_id = uuid4()
    world.hear(JOB, command_id=command_id)
    assert world.hear(JOB, command_id=command_id) == []
    assert len(world.jobs.started) == 1


def test_second_command_meets_a_busy_guest(world: World) -> None:
    """While something changes, nothing else does; queries pass."""
    world.hear(JOB)
    assert code_of(world.hear()) is Code.BUSY
    assert only(world.hear(QUERY)).ok
    assert world.duties.acts == []


def test_raised_epoch_ends_the_running_job(world: World) -> None:
    """A job of an older epoch is ended, with an outcome, before anything of the newer one begins."""
    command_id = uuid4()
    world.hear(JOB, command_id=command_id, args=b"[]")
    assert only(world.hear(epoch=2)).ok
    assert world.jobs.running() == []
    entry = world.journal.find(command_id)
    assert entry is not None
    assert entry.outcome is not None
    assert entry.outcome.error is not None
    assert entry.outcome.error.code is Code.STALE_EPOCH
    assert world.duties.abandoned == [(JOB, b"[]")]


def test_query_under_a_raised_epoch_ends_the_job_too(world: World) -> None:
    """Whatever proves that the epoch was raised is believed."""
    world.hear(JOB)
    world.hear(QUERY, epoch=2)
    assert world.jobs.running() == []
    assert world.journal.epoch == 2


def test_crash_between_epoch_and_end_of_job(world: World) -> None:
    """An epoch stored just before a crash ends the older job at the next start."""
    world.hear(JOB)
    world.journal.raise_epoch(2)
    world.restarted().tend()
    assert world.jobs.running() == []
    assert not world.machine.is_busy


def test_status_of_an_unknown_command_is_a_promise(world: World) -> None:
    """Asked about a command it never heard, the guest promises never to carry it out, and keeps that."""
    command_id = uuid4()
    assert world.ask("job.status", command_id).state is JobState.NEVER
    assert world.hear(command_id=command_id) == []
    assert world.duties.acts == []
    assert world.ask("job.status", command_id).state is JobState.NEVER


def test_status_tells_outcomes_and_running_jobs(world: World) -> None:
    """`job.status` answers with the recorded outcome, or that the command runs."""
    act, job = uuid4(), uuid4()
    outcome = only(world.hear(command_id=act))
    world.hear(JOB, command_id=job)
    assert world.ask("job.status", act) == ops.JobReport(state=JobState.FINISHED, outcome=outcome)
    assert world.ask("job.status", job) == ops.JobReport(state=JobState.RUNNING)


def test_cancel_ends_a_job(world: World) -> None:
    """`job.cancel` has the job gone and answers with its outcome."""
    job = uuid4()
    world.hear(JOB, command_id=job)
    report = world.ask("job.cancel", job)
    assert report.state is JobState.FINISHED
    assert report.outcome is not None
    assert report.outcome.error is not None
    assert report.outcome.error.code is Code.CANCELLED
    assert world.jobs.running() == []
    assert len(world.duties.abandoned) == 1


def test_cancel_of_a_job_that_just_ended_keeps_its_outcome(world: World) -> None:
    """Whoever cancels too late learns how it ended."""
    job = uuid4()
    world.hear(JOB, command_id=job)
    world.jobs.finish(done(job))
    assert world.ask("job.cancel", job).outcome == done(job)


def test_cancel_of_an_unknown_command_is_a_promise(world: World) -> None:
    """Else a cancelled command could still arrive."""
    command_id = uuid4()
    assert world.ask("job.cancel", command_id).state is JobState.NEVER
    assert world.hear(JOB, command_id=command_id) == []


def test_restarted_agent_attaches_to_a_running_job(world: World) -> None:
    """A job goes on while the agent is away, and its outcome is said by the next one."""
    job = uuid4()
    world.hear(JOB, command_id=job)
    world.restarted()
    world.jobs.finish(done(job))
    assert world.machine.tend() == [done(job)]


def test_lost_job_is_done_again(world: World) -> None:
    """A job whose process vanished is idempotent and begins again."""
    job = uuid4()
    world.hear(JOB, command_id=job)
    world.jobs.vanish(job)
    world.machine.tend()
    assert world.jobs.running() == [job]


def test_job_that_vanishes_again_and_again_is_given_up(world: World) -> None:
    """After three starts it is lost, and may be tried under a new id."""
    job = uuid4()
    world.hear(JOB, command_id=job)
    said: list[FromGuest] = []
    while world.jobs.running():
        world.jobs.vanish(job)
        said = world.machine.tend()
    assert len(world.jobs.started) == 3
    assert code_of(said) is Code.LOST


def test_lost_job_with_secrets_is_not_done_again(world: World) -> None:
    """Secrets are kept nowhere, so a job that needs them ends as lost, retryable."""
    job = uuid4()
    world.hear("backup.create", command_id=job, secrets={"data_key": Secret(b"k")})
    world.jobs.vanish(job)
    outcome = only(world.machine.tend())
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == (Code.LOST, True)
    assert len(world.duties.abandoned) == 1


def test_lost_job_past_its_expiry_is_not_done_again(world: World) -> None:
    """Its operation may have ended meanwhile."""
    job = uuid4()
    world.hear(JOB, command_id=job)
    world.jobs.vanish(job)
    world.clock.advance(61)
    assert code_of(world.machine.tend()) is Code.LOST


def test_act_cut_off_by_a_crash_is_done_again(world: World) -> None:
    """Acts are idempotent: the next agent finishes what was begun, and says so."""
    world.duties = RecordingDuties(lambda op, args: fail(Crash()))
    world.restarted()
    command_id = uuid4()
    with pytest.raises(Crash):
        world.hear(command_id=command_id)
    world.duties = RecordingDuties()
    assert only(world.restarted().tend()) == only(world.hear(command_id=command_id))
    assert len(world.duties.acts) == 1


def test_act_with_secrets_cut_off_by_a_crash_is_lost(world: World) -> None:
    """It cannot be finished without its secret; a new try brings it again."""
    world.duties = RecordingDuties(lambda op, args: fail(Crash()))
    world.restarted()
    with pytest.raises(Crash):
        world.hear("user.create", secrets={"password": Secret(b"p")})
    world.duties = RecordingDuties()
    assert code_of(world.restarted().tend()) is Code.LOST
    assert world.duties.acts == []


def test_secrets_of_an_earlier_start_end_the_command(world: World) -> None:
    """Secrets sealed to a key that is gone: nothing is done, and that is the command's outcome for good."""
    command_id = uuid4()
    lost = OpFailed(Code.LOST, "new key", retryable=True)
    assert code_of(world.hear("user.create", command_id=command_id, secrets=lost)) is Code.LOST
    assert code_of(world.hear("user.create", command_id=command_id, secrets={})) is Code.LOST
    assert world.duties.acts == []


def test_secrets_reach_the_act_and_not_the_journal(world: World) -> None:
    """The journal knows that there were some, and none of them."""
    command_id = uuid4()
    world.hear("user.create", command_id=command_id, secrets={"password": Secret(b"hunter2")})
    assert world.duties.acts[0][2] == {"password": b"hunter2"}
    assert b"hunter2" not in msgspec.msgpack.encode(world.journal.find(command_id))


def test_progress_is_thinned_out_and_never_falls_silent(world: World) -> None:
    """A change is told after a second, no change every ten."""
    job = uuid4()
    world.hear(JOB, command_id=job)
    told = []
    for second in range(40):
        if second == 20:
            world.jobs.report(job, JobProgress(seq=1, phase="copying", done=5))
        told += [(second, said.phase) for said in world.machine.tend() if isinstance(said, Progress)]
        world.clock.advance(1)
    assert told == [(0, "started"), (10, "started"), (20, "copying"), (30, "copying")]


@pytest.mark.parametrize(
    ("op", "mark"),
    [("server.start", "on"), ("server.restart", "on"), ("server.stop", "off"), ("agent.shutdown", "off")],
)
def test_whether_the_engine_is_meant_to_run_is_remembered(world: World, op: str, mark: str) -> None:
    """The mark is journaled with the outcome of the op that decides it."""
    world.hear(op)
    assert world.journal.mark(ENGINE_MARK) == mark


def test_replayed_message_only_repeats_an_outcome(world: World) -> None:
    """A message that was accepted before never acts, not even when the journal has forgotten it."""
    command = Command(command_id=uuid4(), op=ACT, instance_epoch=1, args=b"{}")
    assert world.machine.repeat(command) == []
    outcome = only(world.hear(command_id=command.command_id))
    assert world.machine.repeat(command) == [outcome]


def test_unknown_op_is_unsupported(world: World) -> None:
    """An op that this agent does not know does nothing, and its refusal is journaled like any failure."""
    command_id = uuid4()
    first = world.hear("volume.explode", command_id=command_id)
    assert code_of(first) is Code.UNSUPPORTED
    assert world.hear("volume.explode", command_id=command_id) == first
    assert world.duties.acts == []


@pytest.mark.parametrize("op", [ACT, JOB, QUERY, "job.status"])
def test_other_version_of_an_op_is_unsupported(world: World, op: str) -> None:
    """Its arguments may mean something else."""
    assert code_of(world.hear(op, version=2)) is Code.UNSUPPORTED
    assert (world.duties.acts, world.duties.queries, world.jobs.started) == ([], [], [])


def test_unreadable_question_is_answered(world: World) -> None:
    """`job.status` about nothing is an invalid argument, not a crash."""
    assert code_of(world.hear("job.status", args=b"{}")) is Code.INVALID_ARGUMENT


class FailingJournal(MemoryJournal):
    """Cannot write when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    def start(self, entry: Entry) -> None:
        """See `Journal`."""
        self._check()
        super().start(entry)

    def finish(self, outcome: Outcome, *, at_s: float, marks: Mapping[str, str] | None = None) -> None:
        """See `Journal`."""
        self._check()
        super().finish(outcome, at_s=at_s, marks=marks)

    def _check(self) -> None:
        if self.fails:
            raise Fault("journal", "full")


def test_nothing_is_done_that_cannot_be_remembered(world: World) -> None:
    """Without a journal record there is no effect, and the command may be sent again."""
    world.journal = journal = FailingJournal()
    world.restarted()
    journal.fails = True
    assert code_of(world.hear()) is Code.STORAGE_UNAVAILABLE
    assert world.duties.acts == []


def test_outcome_that_cannot_be_journaled_is_not_said_yet(world: World) -> None:
    """It is kept and journaled as soon as that works; until then the machine is busy."""
    world.journal = journal = FailingJournal()
    world.duties = RecordingDuties(lambda op, args: setattr(journal, "fails", True))
    world.restarted()
    assert world.hear() == []
    assert world.machine.tend() == []
    journal.fails = False
    assert only(world.machine.tend()).ok
    assert len(world.duties.acts) == 1


def test_job_that_cannot_be_started_fails(world: World) -> None:
    """A process that could not be made is an outcome too."""
    world.jobs = MemoryJobs(lambda entry: fail(OpFailed(Code.INTERNAL, "no process")))
    world.restarted()
    assert code_of(world.hear(JOB)) is Code.INTERNAL


def fail(error: BaseException) -> None:
    raise error


def test_errors_are_plain_data() -> None:
    """What a refusal carries survives the way through a message."""
    error = GuestError(code=Code.BUSY, message="m", retryable=True)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(error), type=GuestError) == error
