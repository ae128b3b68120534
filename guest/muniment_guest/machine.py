"""The heart of the agent: command in, outcome out. Decides what a command may do, and remembers it before it acts.

A state machine over ports (journal, duties, jobs, clock). It promises, whatever is lost, repeated, reordered or cut off
by a crash: an effect at most once per command id but for idempotent recovery; none after the command's expiry, none
under an instance epoch that was raised, none of a command that `job.status` promised never to carry out.
"""

import traceback
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec
import structlog

from muniment.clock import Clock, seconds
from muniment.contract.errors import Code, GuestError, OpFailed
from muniment.contract.messages import Ack, Command, FromGuest, JobState, Outcome, Progress, Verdict
from muniment.contract.ops import JOB_CANCEL, JOB_STATUS, OPS, JobRef, JobReport, OpClass
from muniment.fault import Fault
from muniment_guest.duties import Duties, JobProgress, Jobs, Secrets
from muniment_guest.journal import Entry, Journal, Progressed

__all__ = ["ENGINE_MARK", "ENGINE_OFF", "ENGINE_ON", "Machine"]

log = structlog.get_logger()

ENGINE_MARK: Final = "engine"
ENGINE_ON: Final = "on"
ENGINE_OFF: Final = "off"
_MARKS: Final = {
    "server.bootstrap": ENGINE_ON,
    "server.start": ENGINE_ON,
    "server.restart": ENGINE_ON,
    "server.stop": ENGINE_OFF,
    "agent.shutdown": ENGINE_OFF,
}
"""Whether the engine is meant to run once this op succeeded; kept in the journal, so that it holds after a boot."""

_STARTS_MAX: Final = 3
"""A job whose process vanishes again and again is given up."""
_PROGRESS_S: Final = 10.0
"""A living job is reported at least so often, for the control plane waits 35 s for a sign of life."""
_PROGRESS_S_MIN: Final = 1.0


class Machine:
    """One instance's machine. Single-threaded: `hear` returns when the act has ended."""

    def __init__(self, journal: Journal, duties: Duties, jobs: Jobs, clock: Clock) -> None:
        """Call `tend` once before the first `hear`: it takes up what an earlier run left."""
        self._journal = journal
        self._duties = duties
        self._jobs = jobs
        self._clock = clock
        self._told: tuple[UUID | None, JobProgress, float] = (None, JobProgress(), 0.0)
        self._told_seq = 0
        self._unwritten: Outcome | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a command that changes something is under way."""
        return self._journal.running() is not None

    def hear(self, command: Command, *, expires_s: float, secrets: Secrets) -> list[FromGuest]:
        """Deal with a command that is authentic and fresh; `expires_s` is its envelope's, in seconds since 1970.

        The order of the checks is the protocol's: epoch, journal, expiry, newer epoch, busy.
        """
        kind = OPS[command.op].kind if command.op in OPS else OpClass.ACT
        if kind is not OpClass.QUERY:
            if command.instance_epoch < self._journal.epoch:
                return [self._refusal(command, Code.STALE_EPOCH, f"epoch {self._journal.epoch} was heard")]
            if (known := self._journal.find(command.command_id)) is not None:
                return [known.outcome] if known.outcome is not None else []
        if expires_s <= self._now_s():
            return [self._refusal(command, Code.EXPIRED, "the command came after its expiry")]
        if command.instance_epoch > self._journal.epoch:
            self._raise_epoch(command.instance_epoch)
        if kind is OpClass.QUERY:
            return [self._answer_query(command)]
        if (running := self._journal.running()) is not None:
            return [self._refusal(command, Code.BUSY, f"{running.op} is running", retryable=True)]
        return self._carry_out(command, kind, expires_s, secrets)

    def repeat(self, command: Command) -> list[FromGuest]:
        """A message came again that had its effect before: only a recorded outcome is sent again, nothing is done."""
        known = self._journal.find(command.command_id)
        return [known.outcome] if known is not None and known.outcome is not None else []

    def tend(self) -> list[FromGuest]:
        """Look after what runs: report progress, conclude a job that ended, take up what a crash interrupted."""
        said: list[FromGuest] = []
        if self._unwritten is not None:
            said += self._finish(self._unwritten)
        while (entry := self._journal.running()) is not None and self._unwritten is None:
            more, concluded = self._tend_entry(entry)
            said += more
            if not concluded:
                break
        return said

    # what a command does

    def _carry_out(
        self, command: Command, kind: OpClass, expires_s: float, secrets: Secrets
    ) -> list[FromGuest]:
        entry = Entry(
            command_id=command.command_id,
            state=Progressed.STARTED,
            at_s=self._now_s(),
            op=command.op,
            args=command.args,
            instance_epoch=command.instance_epoch,
            expires_s=expires_s,
            had_secrets=bool(command.secrets),
        )
        try:
            self._journal.start(entry)
        except Fault as fault:
            return [self._refusal(command, Code.STORAGE_UNAVAILABLE, fault.message, retryable=True)]
        if (unsupported := _unsupported(command)) is not None:
            return self._finish(self._failed(entry, unsupported))
        if kind is OpClass.JOB:
            return self._start_job(entry, secrets)
        return self._finish(self._attempt(entry, lambda: self._duties.act(entry.op, entry.args, secrets())))

    def _start_job(self, entry: Entry, secrets: Secrets) -> list[FromGuest]:
        try:
            self._jobs.start(entry, secrets())
        except OpFailed as failed:
            return self._finish(self._failed(entry, failed.error))
        return [Ack(command_id=entry.command_id, verdict=Verdict.ACCEPTED)]

    def _attempt(self, entry: Entry, act: Callable[[], msgspec.Struct]) -> Outcome:
        try:
            result = act()
        except OpFailed as failed:
            return self._failed(entry, failed.error)
        except Exception as error:  # noqa: BLE001 - a driver is foreign code; its bugs become an outcome, not a dead agent
            return self._failed(entry, bug(error, op=entry.op))
        return Outcome(
            command_id=entry.command_id,
            ok=True,
            result=msgspec.json.encode(result, order="deterministic"),
            started_at=entry.at_s,
            finished_at=self._now_s(),
        )

    def _finish(self, outcome: Outcome) -> list[FromGuest]:
        """Journal an outcome, then say it. One that cannot be journaled is kept and tried again: unsaid, but not lost."""
        entry = self._journal.find(outcome.command_id)
        assert entry is not None, outcome.command_id
        marks = {ENGINE_MARK: _MARKS[entry.op]} if outcome.ok and entry.op in _MARKS else {}
        try:
            self._journal.finish(outcome, at_s=self._now_s(), marks=marks)
        except Fault as fault:
            log.error("outcome not journaled", command_id=str(outcome.command_id), reason=fault.message)
            self._unwritten = outcome
            return []
        self._unwritten = None
        if entry.op in OPS and OPS[entry.op].kind is OpClass.JOB:
            self._jobs.forget(outcome.command_id)
        code = outcome.error.code if outcome.error else None
        log.info("command finished", command_id=str(entry.command_id), op=entry.op, ok=outcome.ok, code=code)
        return [outcome]

    # queries

    def _answer_query(self, command: Command) -> Outcome:
        entry = Entry(
            command_id=command.command_id, state=Progressed.STARTED, at_s=self._now_s(), op=command.op
        )
        args = command.args
        if (unsupported := _unsupported(command)) is not None:
            return self._failed(entry, unsupported)
        if command.op == JOB_STATUS.name:
            return self._attempt(entry, lambda: self._report(_job_ref(args)))
        if command.op == JOB_CANCEL.name:
            return self._attempt(entry, lambda: self._cancel(_job_ref(args)))
        return self._attempt(entry, lambda: self._duties.query(command.op, args))

    def _report(self, command_id: UUID) -> JobReport:
        """Where a command stands. One that was never heard is promised away, durably, before the answer says so."""
        entry = self._journal.find(command_id)
        if entry is None:
            try:
                self._journal.promise_never(command_id, at_s=self._now_s())
            except Fault as fault:
                raise OpFailed(Code.STORAGE_UNAVAILABLE, fault.message, retryable=True) from fault
            return JobReport(state=JobState.NEVER)
        if entry.state is Progressed.STARTED:
            return JobReport(state=JobState.RUNNING)
        if entry.state is Progressed.NEVER:
            return JobReport(state=JobState.NEVER)
        return JobReport(state=JobState.FINISHED, outcome=entry.outcome)

    def _cancel(self, command_id: UUID) -> JobReport:
        entry = self._journal.find(command_id)
        if entry is not None and _is_running_job(entry):
            self._end_job(entry, Code.CANCELLED, "the job was cancelled")
        return self._report(command_id)

    # epochs and jobs

    def _raise_epoch(self, epoch: int) -> None:
        """Store the epoch, then end every job of an older one; a crash in between is made good by `tend`."""
        self._journal.raise_epoch(epoch)
        log.info("instance epoch raised", instance_epoch=epoch)
        entry = self._journal.running()
        if entry is not None and _is_running_job(entry) and entry.instance_epoch < epoch:
            self._end_job(entry, Code.STALE_EPOCH, f"ended, since epoch {epoch} was heard")

    def _end_job(self, entry: Entry, code: Code, message: str) -> list[FromGuest]:
        """Have it gone; an outcome that it reached just before is the one that counts."""
        self._jobs.end(entry.command_id)
        view = self._jobs.look(entry.command_id)
        if view.outcome is not None:
            return self._finish(view.outcome)
        return self._give_up(entry, code, message)

    def _give_up(self, entry: Entry, code: Code, message: str, *, retryable: bool = False) -> list[FromGuest]:
        if entry.op in OPS and OPS[entry.op].kind is OpClass.JOB:
            self._jobs.end(entry.command_id)
            try:
                self._duties.abandon(entry.op, entry.args)
            except OpFailed as failed:
                log.warning("cleaning up failed", op=entry.op, reason=failed.error.message)
        return self._finish(self._failed(entry, GuestError(code=code, message=message, retryable=retryable)))

    def _tend_entry(self, entry: Entry) -> tuple[list[FromGuest], bool]:
        """What to say of a started command, and whether it came to its end."""
        if entry.instance_epoch < self._journal.epoch:
            return self._end_job(entry, Code.STALE_EPOCH, f"epoch {self._journal.epoch} was heard"), True
        if not _is_running_job(entry):
            return self._take_up(entry, starts=0), True
        view = self._jobs.look(entry.command_id)
        if view.outcome is not None:
            return self._finish(view.outcome), True
        if view.state is JobState.RUNNING:
            return self._progress(entry, view.progress), False
        said = self._take_up(entry, starts=view.starts)
        return said, self._journal.running() is None

    def _take_up(self, entry: Entry, *, starts: int) -> list[FromGuest]:
        """A command whose process is gone without an outcome: do it again where that is allowed and possible.

        Acts and jobs are idempotent. Not after the expiry, since its operation may have ended without knowing; not when
        it needs secrets, which are kept nowhere; and not for ever.
        """
        log.warning("command was interrupted", command_id=str(entry.command_id), op=entry.op, starts=starts)
        if entry.had_secrets or self._now_s() >= entry.expires_s or starts >= _STARTS_MAX:
            return self._give_up(
                entry, Code.LOST, f"{entry.op} was interrupted and its end is not known", retryable=True
            )
        if not _is_running_job(entry):
            return self._finish(self._attempt(entry, lambda: self._duties.act(entry.op, entry.args, {})))
        try:
            self._jobs.start(entry, {})
        except OpFailed as failed:
            return self._finish(self._failed(entry, failed.error))
        return []

    def _progress(self, entry: Entry, progress: JobProgress) -> list[FromGuest]:
        """Say that a job lives: soon after something changed, and every 10 s anyway."""
        now_s = self._now_s()
        told_id, told, told_s = self._told
        changed = told_id != entry.command_id or told != progress
        if now_s - told_s < (_PROGRESS_S_MIN if changed else _PROGRESS_S) and told_id == entry.command_id:
            return []
        self._told = (entry.command_id, progress, now_s)
        self._told_seq += 1
        return [
            Progress(
                command_id=entry.command_id,
                seq=self._told_seq,
                phase=progress.phase,
                done=progress.done,
                total=progress.total,
                unit=progress.unit,
                message=progress.message,
            )
        ]

    # small things

    def _failed(self, entry: Entry, error: GuestError) -> Outcome:
        return Outcome(
            command_id=entry.command_id,
            ok=False,
            error=error,
            started_at=entry.at_s,
            finished_at=self._now_s(),
        )

    def _refusal(self, command: Command, code: Code, message: str, *, retryable: bool = False) -> Outcome:
        """An answer that is not journaled: nothing was done, and the same command may be judged otherwise later."""
        log.warning("command refused", command_id=str(command.command_id), op=command.op, code=code)
        error = GuestError(code=code, message=message, retryable=retryable)
        now_s = self._now_s()
        return Outcome(
            command_id=command.command_id, ok=False, error=error, started_at=now_s, finished_at=now_s
        )

    def _now_s(self) -> float:
        return seconds(self._clock.now())


def bug(error: Exception, *, op: str) -> GuestError:
    """What the control plane learns of an exception nobody expected: its class and place. Its text may hold anything, a
    secret too, and goes nowhere."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    log.error("op failed by a bug", op=op, error=type(error).__name__, place=place)
    return GuestError(
        code=Code.INTERNAL, message=f"{op} failed by a defect: {type(error).__name__} at {place}"
    )


def _unsupported(command: Command) -> GuestError | None:
    """Why this agent cannot carry an op out: its arguments may mean something else in another version."""
    known = OPS.get(command.op)
    if known is not None and known.version == command.op_version:
        return None
    message = f"this agent does not know the op {command.op}, version {command.op_version}"
    return GuestError(code=Code.UNSUPPORTED, message=message)


def _is_running_job(entry: Entry) -> bool:
    return entry.state is Progressed.STARTED and entry.op in OPS and OPS[entry.op].kind is OpClass.JOB


def _job_ref(args: bytes) -> UUID:
    try:
        return msgspec.json.decode(args, type=JobRef).command_id
    except msgspec.MsgspecError as error:
        raise OpFailed(Code.INVALID_ARGUMENT, f"the arguments cannot be read: {error}") from error
