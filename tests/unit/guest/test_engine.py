"""The engine's keeper: starts what should run, ever more slowly while that does not help."""

from muniment.contract.errors import Code, OpFailed
from muniment_guest.engine import EngineKeeper


class World:
    """A keeper, time, and an engine that may refuse to start."""

    def __init__(self, *, fails: bool = False) -> None:
        self.now = 0.0
        self.fails = fails
        self.starts: list[float] = []
        self.keeper = EngineKeeper(self.start, elapsed=lambda: self.now)

    def start(self) -> None:
        self.starts.append(self.now)
        if self.fails:
            raise OpFailed(Code.INTERNAL, "no")

    def tend(self, *, running: bool = False, wanted: bool = True, busy: bool = False) -> None:
        if self.keeper.notice(is_wanted=wanted, is_running=running, is_busy=busy):
            self.keeper.start()


def test_engine_that_is_down_is_started() -> None:
    """At once, the first time."""
    world = World()
    world.tend()
    assert world.starts == [0.0]


def test_neither_unwanted_nor_busy_engines_are_touched() -> None:
    """A stopped one stays stopped; a command may be about to start it."""
    world = World()
    world.tend(wanted=False)
    world.tend(busy=True)
    assert world.starts == []


def test_back_off_doubles_up_to_a_minute() -> None:
    """An engine that will not start is tried ever more rarely."""
    world = World(fails=True)
    for second in range(300):
        world.now = float(second)
        world.tend()
    assert world.starts == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_steady_engine_earns_a_quick_restart() -> None:
    """After a minute up, the back-off begins anew; an engine that dies at once does not get that."""
    world = World()
    world.tend()
    world.now = 0.5
    world.tend(running=True)
    world.tend()
    assert world.starts == [0.0]
    world.now = 1.0
    world.tend()
    world.tend(running=True)
    world.now = 70.0
    world.tend(running=True)
    world.tend()
    assert world.starts == [0.0, 1.0, 70.0]


def test_death_is_told_from_a_first_start() -> None:
    """An engine that was never up has not died, until its start fails."""
    world = World(fails=True)
    assert not world.keeper.has_died
    world.tend()
    assert world.keeper.has_died
    world.tend(running=True)
    assert not world.keeper.has_died
    world.keeper.notice(is_wanted=True, is_running=False, is_busy=True)
    assert world.keeper.has_died
