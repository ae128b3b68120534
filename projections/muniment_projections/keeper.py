"""The one who keeps the live read models up to date, and builds them anew when somebody took them away."""

import structlog

from muniment_projections.projector import LogReader, Overtaken, Projector
from muniment_projections.read_model import ReadModel, ReadModelMissing
from muniment_projections.waiting import Arrivals

__all__ = ["Keeper"]

log = structlog.get_logger(__name__)


class Keeper:
    """Runs a projector on the live read models, and replaces it when what it knew of them is no longer so.

    Synchronous: a role's loop calls `run_once`.
    """

    def __init__(self, events: LogReader, read_model: ReadModel, arrivals: Arrivals) -> None:
        """Follow the log `events`; `arrivals` hears of every commit.

        Raises:
            Fault: the read models tell another log.
        """
        self._events = events
        self._read_model = read_model
        self._arrivals = arrivals
        self._projector = self._made()

    def catch_up(self) -> None:
        """Show everything up to the log's head of this moment."""
        self._projector.catch_up()

    def run_once(self) -> int:
        """Show the next events; returns how many they were.

        Read models that were taken away (a deleted file, tables of another release) are built anew from the log before
        anybody reads them again: until then readers hear that they are missing, never that there is nothing.

        Raises:
            ProjectionFailed: an event cannot be shown.
        """
        try:
            self._read_model.check()
            return self._projector.run_once()
        except ReadModelMissing as missing:
            log.warning(
                "read models were taken away, building them anew from the log", reason=missing.message
            )
            return self._renew()
        except Overtaken as overtaken:
            log.warning("somebody else moved the read models, going on from there", reason=str(overtaken))
            self._projector = self._made()
            return 0

    def _made(self) -> Projector:
        return Projector(self._events, self._read_model, arrivals=self._arrivals)

    def _renew(self) -> int:
        number = self._read_model.renew()
        projector = Projector(self._events, self._read_model, generation=number)
        projector.catch_up()
        with self._read_model.writing() as connection:
            projector.write_up_to(connection, self._events.head())
            self._read_model.go_live(connection, number)
        self._projector = self._made()
        self._arrivals.advanced(self._projector.position)
        log.info("read models were built anew", position=self._projector.position)
        return self._projector.position
