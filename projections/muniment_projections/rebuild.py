"""Rebuilding the read models from the log, beside the live ones, and proving both equal before the switch.

Queries and the live projector go on meanwhile, also in other processes: a rebuild takes the write lock for a batch at a
time, and at the end for the last few events and the switch. Versions of rows are numbered by log positions, so both sides
can be compared as of one position although the live side moves on.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec
from sqlalchemy import Connection

from muniment_projections import generations
from muniment_projections.generations import Generation
from muniment_projections.projector import LogReader, Overtaken, Projector
from muniment_projections.proof import Proof, prove
from muniment_projections.read_model import ReadModel

__all__ = ["Rebuild", "RebuildProgress", "RebuildStage", "Rebuilt", "rebuild"]


class RebuildStage(StrEnum):
    """What a rebuild is at."""

    FOLDING = "folding"
    COMPARING = "comparing"
    SWITCHING = "switching"


class RebuildProgress(msgspec.Struct, frozen=True):
    """How far a rebuild is."""

    stage: RebuildStage
    position: int
    """The log position reached."""
    end: int
    """The log position that is to be reached."""
    table: str = ""
    """What is being compared."""


Report = Callable[[RebuildProgress], None]


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild did."""

    generation: int
    """The one that is live now."""
    position: int
    proof: Proof
    """Whether the read models that were live until now said what the log says."""


def rebuild(log: LogReader, read_model: ReadModel, report: Report = lambda progress: None) -> Rebuilt:
    """Build a new generation from the whole log, compare, and let queries read it.

    It goes live also when the old one turns out to differ: the log is right by definition. The proof names what differed.
    A rebuild that was interrupted leaves a generation that the next one removes; of two at once, the later one goes on.

    Raises:
        Overtaken: another rebuild began.
        ProjectionFailed: an event cannot be shown; the live read models stay as they are.
    """
    return Rebuild(log, read_model, report).run()


class Rebuild:
    """One rebuild."""

    def __init__(self, log: LogReader, read_model: ReadModel, report: Report) -> None:
        """Prepare; nothing is written before `run`."""
        self._log = log
        self._read_model = read_model
        self._report = report

    def run(self) -> Rebuilt:
        """Fold, compare, switch."""
        number = self._begin()
        projector = Projector(self._log, self._read_model, generation=number)
        self._fold(projector)
        proof = self._compare(number)
        return self._switch(projector, number, proof)

    def _begin(self) -> int:
        with self._read_model.writing() as connection:
            for left_over in generations.idle(connection):
                self._read_model.drop_generation(connection, left_over)
            return self._read_model.add_generation(connection).number

    def _fold(self, projector: Projector) -> None:
        """Reach the position of the live generation, which may move on meanwhile."""
        while projector.position < (end := self._read_model.position()):
            if projector.run_once(until=end) == 0:
                break
            self._report(RebuildProgress(RebuildStage.FOLDING, projector.position, end))

    def _compare(self, number: int) -> Proof:
        with self._read_model.snapshot() as connection:
            live, built = self._both(connection, number)
            position = min(live.position, built.position)

            def comparing(table: str) -> None:
                self._report(RebuildProgress(RebuildStage.COMPARING, position, position, table))

            return prove(
                connection,
                self._read_model.tables(live.number),
                self._read_model.tables(number),
                position,
                with_states=live.position == built.position,
                progress=comparing,
            )

    def _switch(self, projector: Projector, number: int, proof: Proof) -> Rebuilt:
        # Told before the write lock is taken, since whoever is told may want to write.
        self._report(RebuildProgress(RebuildStage.SWITCHING, projector.position, proof.position))
        with self._read_model.writing() as connection:
            live, _ = self._both(connection, number)
            built = projector.write_up_to(connection, live.position)
            self._read_model.go_live(connection, number)
            self._read_model.drop_generation(connection, live.number)
        return Rebuilt(number, built.position, proof)

    def _both(self, connection: Connection, number: int) -> tuple[Generation, Generation]:
        live, built = self._read_model.live(connection), generations.find(connection, number)
        if built is None or live.number == number:
            raise Overtaken(f"another rebuild took the place of generation {number} of the read models")
        return live, built
