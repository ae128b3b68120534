"""Random histories of the agent's machine: whatever comes in whatever order, and wherever the agent dies."""

from collections import Counter
from uuid import UUID, uuid5

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.guest_ports import Crash, MemoryJobs, MemoryJournal, RecordingDuties

from muniment.clock import ManualClock, seconds
from muniment.contract import ops
from muniment.contract.errors import Code
from muniment.contract.messages import Command, FromGuest, JobState, Outcome, SealedSecret
from muniment.secret import Secret
from muniment_guest.journal import Entry
from muniment_guest.machine import Machine

SPACE = UUID(int=1)
NOT_JOURNALED = {Code.STALE_EPOCH, Code.EXPIRED, Code.BUSY}
numbers = st.integers(0, 7)
crashes = st.sampled_from(["", "", "before", "after"])
OPS_BY_NUMBER = ("db.create", "server.install", "user.create", "backup.create")


class Histories(RuleBasedStateMachine):
    """A control plane that makes every mistake, over an agent that dies at every point."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.journal = MemoryJournal()
        self.jobs = MemoryJobs(self.note_start)
        self.duties = RecordingDuties(self.note_act)
        self.machine = Machine(self.journal, self.duties, self.jobs, self.clock)
        self.expires: dict[UUID, float] = {}
        self.epochs: dict[UUID, int] = {}
        self.effects: Counter[UUID] = Counter()
        self.excused: Counter[UUID] = Counter()
        self.outcomes: dict[UUID, Outcome] = {}
        self.promised: set[UUID] = set()
        self.heard_epoch = 0
        self.crash = ""

    # what acts and jobs do, and what must be true when they do

    def note_effect(self, command_id: UUID) -> None:
        assert command_id not in self.promised, "a command acted that was promised away"
        assert seconds(self.clock.now()) < self.expires[command_id], "an effect after the expiry"
        assert self.epochs[command_id] >= self.heard_epoch, "an effect under an epoch that was raised"
        assert command_id not in self.outcomes, "an effect after the outcome was said"
        self.effects[command_id] += 1

    def note_act(self, op: str, args: bytes) -> None:
        command_id = UUID(args.decode())
        assert self.jobs.running() == [], "an act while a job runs"
        crash, self.crash = self.crash, ""
        if crash == "before":
            raise Crash
        self.note_effect(command_id)
        if crash == "after":
            self.excused[command_id] += 1
            raise Crash

    def note_start(self, entry: Entry) -> None:
        assert self.jobs.running() == [entry.command_id], "two jobs at once"
        self.note_effect(entry.command_id)
        crash, self.crash = self.crash, ""
        if crash:
            raise Crash

    def told(self, said: list[FromGuest]) -> None:
        for outcome in said:
            if not isinstance(outcome, Outcome) or outcome.command_id not in self.expires:
                continue
            entry = self.journal.find(outcome.command_id)
            if entry is None or entry.outcome is None:
                assert outcome.error is not None
                assert outcome.error.code in NOT_JOURNALED
            elif outcome == entry.outcome:
                assert self.outcomes.setdefault(outcome.command_id, outcome) == outcome, (
                    "two outcomes of one command"
                )
            else:
                assert outcome.error is not None
                assert outcome.error.code is Code.STALE_EPOCH

    # what may happen

    @rule(number=numbers, epoch=st.integers(1, 3), lives_s=st.sampled_from([-1.0, 5.0, 60.0]), crash=crashes)
    def hear(self, number: int, epoch: int, lives_s: float, crash: str) -> None:
        """A command, new or repeated, early or late."""
        command_id = uuid5(SPACE, str(number))
        op = OPS_BY_NUMBER[number % 4]
        # Expiry and epoch belong to the command: a copy has the same ones.
        expires_s = self.expires.setdefault(command_id, seconds(self.clock.now()) + lives_s)
        epoch = self.epochs.setdefault(command_id, epoch)
        secrets = (SealedSecret(name="s", sealed=b""),) if op in ("user.create", "backup.create") else ()
        command = Command(
            command_id=command_id, op=op, instance_epoch=epoch, args=str(command_id).encode(), secrets=secrets
        )
        if seconds(self.clock.now()) < expires_s and self.journal.find(command_id) is None:
            self.heard_epoch = max(self.heard_epoch, epoch)
        self.crash = crash
        try:
            self.told(self.machine.hear(command, expires_s=expires_s, secrets=lambda: {"s": Secret(b"s")}))
        except Crash:
            self.restart()
        self.crash = ""

    @rule(number=numbers, op=st.sampled_from(["job.status", "job.cancel"]))
    def ask(self, number: int, op: str) -> None:
        """A question about a command, or a cancel."""
        command_id = uuid5(SPACE, str(number))
        self.expires.setdefault(command_id, seconds(self.clock.now()) + 60)
        self.epochs.setdefault(command_id, 1)
        args = msgspec.json.encode(ops.JobRef(command_id=command_id))
        query = Command(command_id=UUID(int=7), op=op, instance_epoch=1, args=args)
        self.heard_epoch = max(self.heard_epoch, 1)
        (answer,) = self.machine.hear(query, expires_s=seconds(self.clock.now()) + 15, secrets=dict)
        assert isinstance(answer, Outcome)
        report = msgspec.json.decode(answer.result, type=ops.JobReport)
        if report.state is JobState.NEVER:
            assert self.effects[command_id] == 0, "never was said of a command that acted"
            self.promised.add(command_id)
        if report.state is JobState.FINISHED:
            assert report.outcome is not None
            assert self.outcomes.setdefault(command_id, report.outcome) == report.outcome
        if op == "job.cancel":
            assert command_id not in self.jobs.running()

    @rule()
    def restart(self) -> None:
        """The agent dies; its successor takes over."""
        self.machine = Machine(self.journal, self.duties, self.jobs, self.clock)
        self.tend()

    @rule()
    def tend(self) -> None:
        """The agent looks after what runs."""
        self.told(self.machine.tend())

    @rule(vanish=st.booleans())
    def end_job(self, vanish: bool) -> None:
        """A running job ends, or its process is gone."""
        for command_id in self.jobs.running():
            if vanish:
                self.excused[command_id] += 1
                self.jobs.vanish(command_id)
            else:
                self.jobs.finish(Outcome(command_id=command_id, ok=True, result=b"{}"))

    @rule(by_s=st.sampled_from([1.0, 10.0, 100.0]))
    def wait(self, by_s: float) -> None:
        """Time passes."""
        self.clock.advance(by_s)

    # what must always be true

    @invariant()
    def each_command_acts_once(self) -> None:
        """But for what a crash made necessary to repeat."""
        for command_id, count in self.effects.items():
            assert count <= 1 + self.excused[command_id], "an effect more often than its command"

    @invariant()
    def no_job_of_an_older_epoch_runs(self) -> None:
        """A raised epoch has ended it."""
        for command_id in self.jobs.running():
            assert self.epochs[command_id] >= self.heard_epoch


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
