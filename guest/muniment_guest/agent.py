"""The role's loop: hear, look after jobs and engine, say. One thread; what takes long runs in processes of its own."""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import structlog

from muniment.bus.transport import GuestTransport
from muniment.clock import Clock, seconds
from muniment.contract.errors import OpFailed
from muniment.contract.messages import Beat, FromGuest, HealthState, Outcome, Progress
from muniment.contract.ops import OPS, OpClass
from muniment.fault import Fault
from muniment_guest.config import Layout
from muniment_guest.driver import LoadedDriver
from muniment_guest.engine import EngineKeeper
from muniment_guest.health import HealthWatch, Pulse
from muniment_guest.identity import IdentityFiles
from muniment_guest.jobs import JOB_PROGRAM, ProcessJobs
from muniment_guest.journal import DiskJournal
from muniment_guest.link import Heard, Link, OffsetClock
from muniment_guest.machine import ENGINE_MARK, ENGINE_ON, Machine
from muniment_guest.runtimes.process import bound_log
from muniment_guest.server import Server, agent_version

__all__ = ["Agent", "Interrupted", "Stop"]

log = structlog.get_logger()

_UNSENT_MAX: Final = 256
_BEATS_MAX: Final = 8
"""Changes of health that are said in order; of more than these, while out of reach, the oldest are no news."""
_BACKOFF_S: Final = 0.5
_BACKOFF_S_MAX: Final = 5.0
_BOOT_AGAIN_S: Final = 10.0
_LOG_CHECK_S: Final = 60.0
_VOLUME_LOOK_S: Final = 5.0
_IDLE_S_MAX: Final = 5.0
_JOB_WAIT_S: Final = 0.05
_JOB_WAIT_S_MAX: Final = 0.5


class Stop(StrEnum):
    """How an agent is told to end."""

    LEAVE = "leave"
    """Engine and jobs run on: the agent is restarted or updated."""
    POWER_OFF = "power off"
    """As when a machine is switched off: jobs and engine end, the volume is let go; all is back after the next start."""


class Interrupted(BaseException):
    """Breaks a wait, and only a wait: raised by the signal handler through `Agent.stop`."""


class Agent:
    """One server's agent. `run` returns when `stop` was called; `step` is one round of it, for whoever has a loop."""

    def __init__(
        self,
        layout: Layout,
        loaded: LoadedDriver,
        transport: GuestTransport,
        clock: Clock,
        *,
        job_program: Sequence[str] = JOB_PROGRAM,
        elapsed: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """The layout's directories are there, and its lock is held by the caller.

        Raises:
            Fault: the journal or the identity cannot be read.
        """
        config = layout.config
        self._layout = layout
        self._elapsed = elapsed
        self._pause = pause
        self._jitter = jitter
        offset_clock = OffsetClock(clock)
        self._clock: Clock = offset_clock
        self._journal = DiskJournal(layout.journal, config.instance_id)
        self._server = Server(layout, loaded, self._journal, self._clock)
        self._jobs = ProcessJobs(layout, program=job_program)
        self._machine = Machine(self._journal, self._server, self._jobs, self._clock)
        files = IdentityFiles(layout.state, layout.token)
        self._link = Link(
            config.instance_id, config.key_epoch, config.server_id, transport, files, offset_clock
        )
        self._keeper = EngineKeeper(self._server.start_engine, elapsed=elapsed)
        self._health = HealthWatch(self._server.driver.probe, elapsed=elapsed)
        self._pulse = Pulse(elapsed=elapsed)
        self._driver = loaded.manifest
        self._unsent: deque[FromGuest] = deque()
        self._beats: deque[Beat] = deque(maxlen=_BEATS_MAX)
        self._failures = 0
        self._next_contact = 0.0
        self._next_boot = 0.0
        self._next_log_check = 0.0
        self._next_volume_look = 0.0
        self._has_volume_changed = False
        self._job_wait_s = _JOB_WAIT_S
        self._is_waiting = False
        self._stop: Stop | None = None
        self._begin()

    def run(self) -> None:
        """Work until told to stop, then end as told."""
        log.info(
            "agent started",
            instance_id=str(self._layout.config.instance_id),
            server_id=self._layout.config.server_id,
        )
        try:
            while self._stop is None:
                self.step()
        except Interrupted:
            log.info("agent wakes up to stop")
        if self._stop is Stop.POWER_OFF:
            self.power_off()
        self.close()
        log.info("agent stopped", how=str(self._stop))

    def stop(self, how: Stop) -> None:
        """From a signal handler: end after what is being done; a wait is broken off.

        Raises:
            Interrupted: into the wait.
        """
        self._stop = how
        if self._is_waiting:
            raise Interrupted

    def step(self, *, wait_s_max: float = _IDLE_S_MAX) -> None:
        """One round: look after everything, then wait for commands for at most `wait_s_max` seconds."""
        self._boot_if_needed()
        concluded = False
        for said in self._machine.tend():
            self._say(said)
            concluded = concluded or isinstance(said, Outcome)
        self._tend_volume()
        self._tend_engine(at_once=concluded)
        self._bound_logs()
        # Looked at once: between two looks the moment may pass, and a pause takes no negative time.
        left_s = self._next_contact - self._elapsed()
        if left_s > 0:
            self._wait(lambda: self._pause(min(self._wait_s(wait_s_max), left_s)))
            return
        self._talk(wait_s_max)

    def power_off(self) -> None:
        """End jobs and engine and let go of the volume, as a machine does that is switched off."""
        self._jobs.end_all()
        try:
            self._server.power_off()
        except OpFailed as failed:
            log.error("server not powered off cleanly", reason=failed.error.message)

    def close(self) -> None:
        """Let go of files; jobs and engine run on."""
        self._journal.close()

    # what it looks after

    def _begin(self) -> None:
        self._boot_if_needed()
        running = self._journal.running()
        self._jobs.sweep(running.command_id if running else None)
        # What was concluded just before a crash may never have been said.
        latest = self._journal.latest()
        if latest is not None and latest.outcome is not None:
            self._say(latest.outcome)

    def _boot_if_needed(self) -> None:
        if self._server.is_attached or self._elapsed() < self._next_boot:
            return
        try:
            self._server.boot()
        except OpFailed as failed:
            self._next_boot = self._elapsed() + _BOOT_AGAIN_S
            log.error("volume is not there", reason=failed.error.message)

    def _tend_volume(self) -> None:
        """Watched from outside: an engine that meets a full volume may not be there to say so."""
        if self._elapsed() >= self._next_volume_look:
            self._next_volume_look = self._elapsed() + _VOLUME_LOOK_S
            self._has_volume_changed = self._server.tend_volume() or self._has_volume_changed

    def _tend_engine(self, *, at_once: bool = False) -> None:
        """Start the engine where it is due, and notice how it is: `at_once` after a command, which may have changed it."""
        is_wanted = self._journal.mark(ENGINE_MARK) == ENGINE_ON
        is_running = self._server.is_engine_running
        is_busy = self._machine.is_busy
        # The keeper first: it notices a death, which is said before the restart is tried.
        is_due = self._keeper.notice(is_wanted=is_wanted, is_running=is_running, is_busy=is_busy)
        self._look(is_wanted=is_wanted and not is_busy, is_running=is_running, at_once=at_once)
        if is_due and self._server.is_attached:
            self._keeper.start()
            self._look(is_wanted=is_wanted, is_running=self._server.is_engine_running, at_once=True)

    def _look(self, *, is_wanted: bool, is_running: bool, at_once: bool) -> None:
        changed = self._health.tend(
            is_wanted=is_wanted, is_running=is_running, has_died=self._keeper.has_died, at_once=at_once
        )
        if changed:
            log.info("health changed", state=self._health.health.state, detail=self._health.health.detail)
        if not self._link.is_enrolled:
            # Made now it would show a key that the enrolment replaces.
            return
        changed = changed or self._has_volume_changed
        self._has_volume_changed = False
        beat = self._pulse.beat(self._make_beat, changed=changed)
        if beat is not None and (changed or not self._beats):
            self._beats.append(beat)

    def _make_beat(self) -> Beat:
        return Beat(
            agent_version=agent_version(),
            driver=self._driver.driver,
            driver_version=self._driver.version,
            instance_epoch=self._journal.epoch,
            health=self._health.health,
            volume=self._server.volume_facts(),
            last_command_sequence=self._link.last_sequence,
            rejected=dict(self._link.rejected),
            public_key=self._link.public_key,
        )

    def _bound_logs(self) -> None:
        if self._elapsed() >= self._next_log_check:
            self._next_log_check = self._elapsed() + _LOG_CHECK_S
            bound_log(self._layout.engine_log)

    # how it talks

    def _talk(self, wait_s_max: float) -> None:
        try:
            if not self._link.is_enrolled:
                wait_s = self._wait_s(wait_s_max)
                self._wait(lambda: self._link.enrol(wait_s=wait_s))
                return
            self._send_unsent()
            wait_s = self._wait_s(wait_s_max)
            received: list[Heard] = []
            self._wait(lambda: received.extend(self._link.receive(wait_s=wait_s)))
            self._note_contact()
            for heard in received:
                self._deal_with(heard)
            self._send_unsent()
        except Fault as fault:
            self._note_trouble(fault)

    def _deal_with(self, heard: Heard) -> None:
        is_act = False
        if (command := heard.command) is not None:
            if heard.is_repeated:
                said = self._machine.repeat(command)
            else:
                is_act = command.op in OPS and OPS[command.op].kind is OpClass.ACT
                expires_s = heard.message.expires_ms / 1000
                said = self._machine.hear(
                    command, expires_s=expires_s, secrets=lambda: self._link.secrets_of(command)
                )
                self._job_wait_s = _JOB_WAIT_S
            for message in said:
                self._say(message)
        self._link.accept(heard)
        self._tend_engine(at_once=is_act)

    def _say(self, said: FromGuest) -> None:
        """Have it sent; what cannot be sent yet is kept, and of that the least important goes first."""
        if len(self._unsent) >= _UNSENT_MAX:
            progress = next((kept for kept in self._unsent if isinstance(kept, Progress)), self._unsent[0])
            self._unsent.remove(progress)
        self._unsent.append(said)

    def _send_unsent(self) -> None:
        """The beat first: it says to which key secrets are to be sealed."""
        while self._beats:
            self._link.say(self._beats[0])
            self._beats.popleft()
        while self._unsent:
            self._link.say(self._unsent[0])
            self._unsent.popleft()

    def _wait_s(self, wait_s_max: float) -> float:
        """How long nothing has to be looked after."""
        wait_s = min(wait_s_max, self._health.due_in_s(), self._pulse.due_in_s())
        if self._machine.is_busy or self._health.health.state is HealthState.CRASHED:
            # A short job should be noticed at once, a long one need not be looked at that often.
            self._job_wait_s = min(self._job_wait_s * 1.1, _JOB_WAIT_S_MAX)
            wait_s = min(wait_s, self._job_wait_s)
        return max(wait_s, 0.0)

    def _wait(self, wait: Callable[[], object]) -> None:
        self._is_waiting = True
        try:
            if self._stop is None:
                wait()
        finally:
            self._is_waiting = False

    def _note_contact(self) -> None:
        if self._failures:
            log.info("control plane reached again", failures=self._failures)
        self._failures = 0

    def _note_trouble(self, fault: Fault) -> None:
        """Try again, ever more slowly, but never so slowly that a restarted control plane has to wait long."""
        self._failures += 1
        if self._failures == 1:
            log.warning("control plane out of reach", reason=fault.message, at_s=seconds(self._clock.now()))
        backoff_s = min(_BACKOFF_S * 2.0 ** (min(self._failures, 10) - 1), _BACKOFF_S_MAX)
        self._next_contact = self._elapsed() + backoff_s * (0.5 + self._jitter() / 2)
