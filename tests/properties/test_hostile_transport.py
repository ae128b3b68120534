"""A whole conversation past a network that loses, repeats, reorders, delays and corrupts: effects happen at most once,
nothing false is believed, and what was not lost arrives."""

from collections import Counter
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.dispatch_kit import Guest, World
from tests.support.ledgers import ABOUT

from muniment.bus.envelope import EnvelopeError
from muniment.bus.transports.memory import Faults
from muniment.contract.messages import Outcome, decode_command
from muniment.store.writes import CloseCommand, UseSignals

COMMANDS = 8
rates = st.sampled_from([0.0, 0.1, 0.3])


class Play:
    """Two guests, commands one after the other, and what came of them."""

    def __init__(self, faults: Faults, seed: int) -> None:
        """Enrol over a good network, then let the faults loose."""
        self.world = World("memory")
        self.pairs = [self.world.enrolled() for _ in range(2)]
        self.random = Random(seed)
        self.acted: Counter[UUID] = Counter()
        self.answered: Counter[UUID] = Counter()
        self.issued: list[UUID] = []
        self.world.network.faults = faults
        self.world.network._random = Random(seed)

    def run(self) -> None:
        """Give every guest its commands, each after the one before was answered or its time was over."""
        for _ in range(COMMANDS):
            for guest, operation_id in self.pairs:
                row = self.world.command(guest, operation_id, deadline_s=30)
                self.issued.append(UUID(row.id))
            for _ in range(8):
                self.world.clock.advance(5)
                self.turn()
            writes = [CloseCommand(command_id) for command_id in self.issued]
            self.world.ledger.save([], ABOUT, writes=writes)

    def turn(self) -> None:
        """Everybody does what there is to do."""
        self.world.relay.run_once()
        for guest, _ in self.pairs:
            self.hear(guest)
        self.world.conductor.run_once()
        for _, operation_id in self.pairs:
            signals = self.world.signals(operation_id)
            self.answered.update(signal.command_id for signal in signals if signal.command_id)
            self.world.ledger.save([], ABOUT, writes=[UseSignals(tuple(s.id for s in signals))])

    def hear(self, guest: Guest) -> None:
        """Act on what opens, answer, and feed the other guest's traffic in as well."""
        for data in guest.transport.receive(wait_s=0):
            for other, _ in self.pairs:
                self._open(other, data, is_own=other is guest)

    def _open(self, guest: Guest, data: bytes, *, is_own: bool) -> None:
        try:
            message = guest.endpoint.open(data, now_ms=self.world.now_ms)
        except EnvelopeError:
            return
        assert is_own, "a guest believed what was meant for another"
        guest.endpoint.accept(message)
        command_id = decode_command(message.body).command_id
        self.acted[command_id] += 1
        guest.say(Outcome(command_id=command_id, ok=True, result=b"{}"))


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        Faults, drop=rates, repeat=rates, reorder=rates, delay=rates, delay_s_max=st.just(60.0), corrupt=rates
    ),
    st.integers(0, 2**32),
)
def test_at_most_once(faults: Faults, seed: int) -> None:
    """No command acts twice, none is answered that did not act, no bug of ours is tripped."""
    play = Play(faults, seed)
    play.run()
    assert max(play.acted.values(), default=0) <= 1
    assert set(play.acted) <= set(play.issued)
    assert set(play.answered) <= set(play.acted)
    assert not {"bug", "fault", "undecodable"} & set(play.world.conductor.rejected)
    play.world.ledger.close()


@settings(max_examples=15, deadline=None)
@given(
    st.builds(Faults, repeat=rates, reorder=rates, delay=rates, delay_s_max=st.just(5.0)),
    st.integers(0, 2**32),
)
def test_exactly_once(faults: Faults, seed: int) -> None:
    """Where nothing is lost or spoilt, each command acts once and is answered once."""
    play = Play(faults, seed)
    play.run()
    assert play.acted == Counter(play.issued)
    assert play.answered == Counter(play.issued)
    play.world.ledger.close()
