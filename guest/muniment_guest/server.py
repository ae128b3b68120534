"""This server as the machine's duties: its volume, its engine, and the driver that knows the engine."""

import signal
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import msgspec
import structlog

from muniment.clock import Clock
from muniment.contract import ops
from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import GuestDriver
from muniment.contract.manifest import CONTRACT_MAJOR, CONTRACT_MINOR
from muniment.contract.messages import Health, VolumeFacts
from muniment.contract.ops import Describe, Nothing
from muniment.fault import Fault
from muniment.secret import Secret
from muniment_guest.config import Layout
from muniment_guest.driver import LoadedDriver
from muniment_guest.host import host_of, volume_of
from muniment_guest.journal import DiskJournal
from muniment_guest.reserve import Reserve
from muniment_guest.volume import Prepared, read_prepared, write_prepared
from muniment_guest.work import Work, decode_args

__all__ = ["Server", "agent_version"]

log = structlog.get_logger()

_STOP_S = 45.0
_LEVELS = 20
"""A volume that fills is told of at every twentieth of its size."""
_STARTS = frozenset({ops.SERVER_START.name, ops.SERVER_RESTART.name})
"""Ops that start an engine, which needs room."""


class Server:
    """See `muniment_guest.duties.Duties`."""

    def __init__(self, layout: Layout, loaded: LoadedDriver, journal: DiskJournal, clock: Clock) -> None:
        """Nothing is touched yet; `boot` has the volume there."""
        self._layout = layout
        self._manifest = loaded.manifest
        self._journal = journal
        self._volume = volume_of(layout)
        self._host = host_of(layout, self._volume)
        self.driver: GuestDriver = loaded.guest(self._host)
        self._work = Work(self.driver, clock, datastore=layout.config.datastore)
        self._reserve = Reserve(self._agent_directory)
        self._level = -1
        self.is_attached = False

    def boot(self) -> None:
        """Have the volume there again if it was prepared; no-op when it is, or when there is none yet.

        Raises:
            OpFailed: it cannot be had; try again later.
        """
        prepared = read_prepared(self._layout.prepared)
        if prepared is not None and not self.is_attached:
            self._volume.attach(prepared)
            self._join_journal()

    def query(self, op: str, args: bytes) -> msgspec.Struct:
        """See `Duties`."""
        if op == ops.AGENT_DESCRIBE.name:
            return self._describe()
        if op == ops.VOLUME_STATS.name:
            return self._volume.facts()
        return self._work.query(op, args)

    def act(self, op: str, args: bytes, secrets: Mapping[str, Secret]) -> msgspec.Struct:
        """See `Duties`."""
        if op == ops.VOLUME_PREPARE.name:
            return self._prepare_volume(decode_args(args, ops.PrepareVolume))
        if op == ops.VOLUME_GROW.name:
            return self._volume.grow(decode_args(args, ops.GrowVolume))
        if op == ops.AGENT_SHUTDOWN.name:
            self.power_off()
            write_prepared(self._layout.prepared, None)
            return Nothing()
        if op in _STARTS:
            self._ready()
        return self._work.act(op, args, secrets)

    def abandon(self, op: str, args: bytes) -> None:
        """See `Duties`."""
        self._work.abandon(op, args)

    def power_off(self) -> None:
        """Stop the engine and let go of the volume; what is to run after the next boot stays as it was.

        Raises:
            OpFailed: the volume is still in use.
        """
        self._stop_engine()
        self._journal.drop_home(self._agent_directory)
        self.is_attached = False
        self._volume.detach()

    @property
    def is_engine_running(self) -> bool:
        """Whether the engine's main process lives."""
        return self._host.runtime.server().running

    def start_engine(self) -> Health:
        """Start it, with its directories there, and room to recover in where the volume is full.

        Raises:
            OpFailed: it does not start.
        """
        self._ready()
        return self.driver.start()

    def tend_volume(self) -> bool:
        """Keep its reserve, and see how full it is; whether that changed by a twentieth since it was last said."""
        if not self.is_attached or (room := self._volume.room()) is None:
            return False
        size, available = room
        self._reserve.keep(available)
        level = _LEVELS * (size - available) // size if size else 0
        if level == self._level:
            return False
        self._level = level
        return True

    def volume_facts(self) -> VolumeFacts | None:
        """What the volume holds; None while there is none."""
        try:
            return self._volume.facts()
        except OpFailed:
            return None

    def _ready(self) -> None:
        """Have what an engine needs to start: somebody may have tidied away the directory of its sockets."""
        try:
            self._layout.make()
        except Fault as fault:
            raise OpFailed(Code.PRECONDITION_FAILED, fault.message, retryable=True) from fault
        if self.is_attached and (room := self._volume.room()) is not None:
            self._reserve.make_room(room[1])

    @property
    def _agent_directory(self) -> Path:
        return self._volume.root / "agent"

    def _prepare_volume(self, wanted: ops.PrepareVolume) -> VolumeFacts:
        facts = self._volume.prepare(wanted)
        prepared = Prepared(volume_id=wanted.volume_id, filesystem_uuid=wanted.filesystem_uuid)
        write_prepared(self._layout.prepared, prepared)
        self._join_journal()
        self.tend_volume()  # before anybody writes
        return facts

    def _join_journal(self) -> None:
        """Keep the second copy of the journal on the volume, and learn what an earlier server wrote there."""
        try:
            self._journal.add_home(self._agent_directory)
        except Fault as fault:
            # The copy on the root disk is there; a volume without a copy is worse than one with, and better than none.
            log.error("volume keeps no copy of the journal", reason=fault.message)
        self.is_attached = True

    def _stop_engine(self) -> None:
        if not self.is_engine_running:
            return
        try:
            self.driver.stop(_STOP_S)
        except OpFailed as failed:
            log.warning("engine is killed, since it did not stop", reason=failed.error.message)
        self._host.runtime.stop_server(signal=signal.SIGKILL, grace_s=_STOP_S)

    def _describe(self) -> Describe:
        return Describe(
            agent_version=agent_version(),
            driver=self._manifest.driver,
            contract=(CONTRACT_MAJOR, CONTRACT_MINOR),
            capabilities=tuple(sorted(self._manifest.capabilities)),
            runtime=self._host.runtime.name,
        )


@cache
def agent_version() -> str:
    """The version of this agent's package."""
    return version("muniment-guest")
