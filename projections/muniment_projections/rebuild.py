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
from muniment_projections.waiting import Arrivals

__all__ = ["Rebuild", "RebuildProgress", "RebuildStage", "Rebuilt", "rebuild"]


_PATIENCE_S = 5.0
"""How long whoever keeps the live read models is given to show what the log held when the rebuild began."""


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
    lacking: int
    """How many events the read models that were live until now lacked, after they were waited for; negative, when they
    showed more than the log holds."""
    proof: Proof
    """Whether they said what the log says, up to where it stood at the beginning."""

    @property
    def is_equal(self) -> bool:
        """Whether the read models that were live until now told this log, all of it and nothing else."""
        return self.proof.is_equal and self.lacking == 0


def rebuild(log: LogReader, read_model: ReadModel, report: Report = lambda progress: None) -> Rebuilt:
    """Build a new generation from the whole log, compare, and let queries read it.

    It goes live also when the old one turns out to differ: the log is right by definition. The proof names what differed;
    events that nobody had shown in the end, although they were waited for, count too.
    A rebuild that was interrupted leaves a generation that the next one removes; of two at once, the later one goes on.

    Raises:
        Overtaken: another rebuild began, or the read models were taken away meanwhile.
        ReadModelMissing: there is nothing to compare with.
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
        number, end = self._begin(), self._log.head()
        projector = Projector(self._log, self._read_model, generation=number)
        self._fold(projector, end)
        Arrivals(self._read_model).wait_for(end, _PATIENCE_S)
        lacking = self._lacking(end)
        proof = self._compare(number, end)
        return self._switch(projector, number, lacking, proof)

    def _begin(self) -> int:
        with self._read_model.writing() as connection:
            for left_over in generations.idle(connection):
                self._read_model.drop_generation(connection, left_over)
            return self._read_model.add_generation(connection).number

    def _fold(self, projector: Projector, end: int) -> None:
        """Reach `end`, whatever the live generation has reached: the log says what it must tell."""
        while projector.position < end and projector.run_once(until=end):
            self._report(RebuildProgress(RebuildStage.FOLDING, projector.position, end))

    def _lacking(self, end: int) -> int:
        shown = self._read_model.position()
        return end - shown if shown < end else min(0, self._log.head() - shown)

    def _compare(self, number: int, position: int) -> Proof:
        with self._read_model.snapshot() as connection:
            live, built = self._both(connection, number)

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

    def _switch(self, projector: Projector, number: int, lacking: int, proof: Proof) -> Rebuilt:
        # Told before the write lock is taken, since whoever is told may want to write.
        self._report(RebuildProgress(RebuildStage.SWITCHING, projector.position, proof.position))
        with self._read_model.writing() as connection:
            live, _ = self._both(connection, number)
            built = projector.write_up_to(connection, max(live.position, self._log.head()))
            self._read_model.go_live(connection, number)
            self._read_model.drop_generation(connection, live.number)
        return Rebuilt(number, built.position, lacking, proof)

    def _both(self, connection: Connection, number: int) -> tuple[Generation, Generation]:
        live, built = self._read_model.live(connection), generations.find(connection, number)
        if built is None or live.number == number:
            raise Overtaken(f"another rebuild took the place of generation {number} of the read models")
        return live, built
