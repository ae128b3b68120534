"""A server of the simulated cloud: its agent is the real machine and the real link around a simulated engine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from tests.simulation.chance import Crash
from tests.simulation.cloud import Thing
from tests.simulation.engine import MemoryIdentity, MemoryJournal, SimulatedDuties, SimulatedJobs

from muniment.cloud.recipes import ServerRecipe
from muniment.contract.messages import Beat, Command, FromGuest, Health
from muniment.fault import Fault
from muniment_guest.journal import Entry
from muniment_guest.link import Heard, Link, OffsetClock
from muniment_guest.machine import Machine

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["SimulatedServer"]

_BEAT_S = 30.0
_TEND_S = 10.0
_ENROL_S = 2.0


class SimulatedServer:
    """An actor of the world: what survives a crash of its agent is its root disk, its jobs and its volume."""

    def __init__(self, world: World, thing: Thing, *, boots_at_s: float) -> None:
        """Boot later."""
        assert isinstance(thing.recipe, ServerRecipe)
        self.name = f"agent on {thing.id}"
        self.thing = thing
        self.recipe = thing.recipe
        self.instance_id: UUID = thing.recipe.seed.instance_id
        self.is_gone = False
        self.data = world.cloud.things[thing.recipe.volume_id].data
        self.journal = MemoryJournal()
        self._world = world
        self._disk = MemoryIdentity(thing.recipe.seed.token)
        self._jobs = SimulatedJobs(
            self.data, world.chance, world.refusals, world.now_s, self._job_acts, world.objects.objects
        )
        self._duties = SimulatedDuties(self.data, world.refusals, self._acts)
        self._current: UUID | None = None
        self._link: Link | None = None
        self._machine: Machine | None = None
        self._unsent: list[FromGuest] = []
        self._next_s = boots_at_s
        self._beat_at_s = 0.0
        self._told: Health | None = None

    # -- the actor -----------------------------------------------------------------------------------------------------

    def ready_at(self) -> float | None:
        """When the agent has something to do."""
        if self.is_gone or self._world.agents_are_mute:
            return None
        if self._link is None or not self._link.is_enrolled:
            return self._next_s
        due = [self._next_s, self._jobs.next_due_s(), self._world.network_due_s(self.instance_id)]
        return min(at for at in due if at is not None)

    def run(self) -> None:
        """One round of the agent's loop, or its start."""
        try:
            if self._link is None or self._machine is None:
                self._boot()
            self._round()
        except Crash:
            self._link = self._machine = None
            self._unsent = []
            self._current = None
            self._next_s = self._world.now_s() + self._world.chance.random.uniform(1, 30)

    def _boot(self) -> None:
        world = self._world
        self._link = Link(
            self.instance_id,
            self.recipe.seed.key_epoch,
            self.thing.id,
            world.network.guest(self.instance_id),
            self._disk,  # type: ignore[arg-type]  # the same methods, in memory
            OffsetClock(world.clock),
        )
        self._machine = Machine(self.journal, self._duties, self._jobs, world.clock)
        self._told = None

    def _round(self) -> None:
        assert self._link is not None
        world = self._world
        self._next_s = world.now_s() + _TEND_S
        try:
            if not self._link.is_enrolled and not self._link.enrol(wait_s=0):
                self._next_s = world.now_s() + _ENROL_S
                return
            self._say(*self._tend())
            for heard in self._link.receive(wait_s=0):
                self._hear(heard)
            self._beat()
            self._flush()
        except Fault:
            self._next_s = world.now_s() + _ENROL_S  # out of reach

    def _tend(self) -> list[FromGuest]:
        assert self._machine is not None
        running = self.journal.running()
        self._current = running.command_id if running is not None else None
        return self._machine.tend()

    def _hear(self, heard: Heard) -> None:
        assert self._link is not None
        assert self._machine is not None
        command = heard.command
        if command is None:
            self._link.accept(heard)
        elif heard.is_repeated:
            self._say(*self._machine.repeat(command))
        else:
            self._current = command.command_id
            said = self._machine.hear(
                command, expires_s=heard.message.expires_ms / 1000, secrets=self._secrets(command)
            )
            if self._world.chance.happens("crash_guest"):
                raise Crash
            self._link.accept(heard)
            self._say(*said)

    def _secrets(self, command: Command):  # type: ignore[no-untyped-def]  # the port's protocol is a callable
        link = self._link
        assert link is not None
        return lambda: link.secrets_of(command)

    def _beat(self) -> None:
        assert self._link is not None
        health = self._duties.health() if self.data.is_prepared else None
        if health == self._told and self._world.now_s() < self._beat_at_s:
            return
        self._beat_at_s = self._world.now_s() + _BEAT_S
        self._told = health
        self._say(
            Beat(agent_version="1", driver="simulated", health=health, public_key=self._link.public_key)
        )

    def _say(self, *said: FromGuest) -> None:
        self._unsent.extend(said)

    def _flush(self) -> None:
        assert self._link is not None
        while self._unsent and not self._world.agents_are_dumb:
            self._link.say(self._unsent[0])
            self._unsent.pop(0)

    # -- effects -------------------------------------------------------------------------------------------------------

    def _acts(self, point: str) -> None:
        assert self._current is not None, "an act without a command"
        self._job_acts(self._current, point)

    def _job_acts(self, command_id: UUID, point: str) -> None:
        entry: Entry | None = self.journal.find(command_id)
        assert entry is not None, "an effect that the journal does not know of"
        if point == "at_end":
            self._world.watch.guest_ends(self, entry)
            return
        if point == "before_effect":
            self._world.watch.guest_acts(self, entry)
        step = self._world.watch.step_of(command_id)
        self._world.reach(step, point)
        if self._world.chance.happens("crash_guest"):
            raise Crash
