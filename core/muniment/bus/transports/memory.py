"""A transport inside one process, with switches for everything a hostile or failing network may do.

It draws from a random source and reads a clock that it is given, so that a run repeats from its seed. Nothing waits: a
message is there once its time has come.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from random import Random
from uuid import UUID

import msgspec

from muniment.bus.transport import Letter, LetterKind
from muniment.clock import Clock, seconds
from muniment.fault import Fault
from muniment.secret import Secret

__all__ = ["Faults", "MemoryControl", "MemoryGuest", "MemoryNetwork"]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """How often (0..1) each thing happens to a message."""

    drop: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    """Overtake everything that waits."""
    delay: float = 0.0
    delay_s_max: float = 900.0
    corrupt: float = 0.0
    """Flip one bit."""


class _Queue:
    """Messages on their way, by the moment they arrive."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0

    def put(self, data: bytes, due_s: float, *, overtake: bool) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (due_s, -self._count if overtake else self._count, data))

    def take(self, now_s: float) -> bytes | None:
        if not self._waiting or self._waiting[0][0] > now_s:
            return None
        return heapq.heappop(self._waiting)[2]

    def next_due_s(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None


class MemoryNetwork:
    """All guests and the control plane in one process. `faults` may be changed at any time; `counts` says what happened."""

    def __init__(self, clock: Clock, random: Random, faults: Faults | None = None) -> None:
        """Start without any guest and, unless told otherwise, without faults."""
        self.faults = faults or Faults()
        self.counts: dict[str, int] = defaultdict(int)
        self.control = MemoryControl(self)
        self._clock = clock
        self._random = random
        self._down: dict[UUID, _Queue] = defaultdict(_Queue)
        self._up: dict[LetterKind, _Queue] = {kind: _Queue() for kind in LetterKind}
        self._cut: set[UUID] = set()
        self._delivered: dict[UUID, list[bytes]] = defaultdict(list)
        self._answers: dict[bytes, bytes] = {}

    def guest(self, instance_id: UUID) -> "MemoryGuest":
        """A guest's end; make a new one for a restarted agent: what its predecessor did not deal with comes again."""
        return MemoryGuest(self, instance_id)

    def cut(self, instance_id: UUID) -> None:
        """Put a guest out of reach, both ways."""
        self._cut.add(instance_id)

    def heal(self, instance_id: UUID) -> None:
        """Bring it back; what waited for it is still there."""
        self._cut.discard(instance_id)

    def next_due_s(self) -> float | None:
        """When the next message arrives anywhere (seconds since 1970); None when none is on its way."""
        queues = [*self._up.values(), *self._down.values()]
        return min((due for queue in queues if (due := queue.next_due_s()) is not None), default=None)

    def _carry(self, queue: _Queue, data: bytes) -> None:
        """Send one message on its way, or not, or twice."""
        if self._happens("drop", self.faults.drop):
            return
        for _ in range(2 if self._happens("repeat", self.faults.repeat) else 1):
            due_s = seconds(self._clock.now())
            if self._happens("delay", self.faults.delay):
                due_s += self._random.uniform(0, self.faults.delay_s_max)
            sent = self._flip(data) if self._happens("corrupt", self.faults.corrupt) else data
            queue.put(sent, due_s, overtake=self._happens("reorder", self.faults.reorder))

    def _happens(self, fault: str, rate: float) -> bool:
        happens = self._random.random() < rate
        self.counts[fault] += happens
        return happens

    def _flip(self, data: bytes) -> bytes:
        flipped = bytearray(data)
        bit = self._random.randrange(len(data) * 8)
        flipped[bit // 8] ^= 1 << bit % 8
        return bytes(flipped)

    def _to_guest(self, instance_id: UUID, data: bytes) -> None:
        self._carry(self._down[instance_id], data)

    def _to_control(self, instance_id: UUID, kind: LetterKind, data: bytes) -> None:
        self._refuse_if_cut(instance_id)
        self._carry(self._up[kind], data)

    def _refuse_if_cut(self, instance_id: UUID) -> None:
        if instance_id in self._cut:
            raise Fault("memory transport", f"{instance_id} is out of reach")

    def _for_guest(self, instance_id: UUID, again: Sequence[bytes]) -> list[bytes]:
        """Everything due for a guest, after `again`, which was delivered before and may not have been dealt with."""
        self._refuse_if_cut(instance_id)
        delivered = list(again)
        while (data := self._down[instance_id].take(seconds(self._clock.now()))) is not None:
            delivered.append(data)
        self._delivered[instance_id] = delivered
        return delivered

    def _for_control(self) -> tuple[LetterKind, bytes] | None:
        for kind, queue in self._up.items():
            if (data := queue.take(seconds(self._clock.now()))) is not None:
                return kind, data
        return None


class MemoryGuest:
    """The guest's end of a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, instance_id: UUID) -> None:
        """Made by `MemoryNetwork.guest`."""
        self._network = network
        self._instance_id = instance_id
        self._again = list(network._delivered[instance_id])

    def enrol(self, request: bytes, *, wait_s: float) -> bytes | None:
        """See `GuestTransport`; each call sends the request anew until the answer has arrived."""
        answer = self._network._answers.get(sha256(request).digest())
        if answer is None:
            self._network._to_control(self._instance_id, LetterKind.ENROLMENT, request)
        return answer

    def authorise(self, bearer: Secret) -> None:
        """See `GuestTransport`; nobody asks for a password here."""

    def send(self, data: bytes) -> None:
        """See `GuestTransport`."""
        self._network._to_control(self._instance_id, LetterKind.ENVELOPE, data)

    def receive(self, *, wait_s: float) -> Sequence[bytes]:
        """See `GuestTransport`; does not wait."""
        again, self._again = self._again, []
        return self._network._for_guest(self._instance_id, again)


class MemoryControl:
    """The control plane's end of a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork) -> None:
        """Made by `MemoryNetwork`."""
        self._network = network
        self._held: dict[int, Letter] = {}
        self._count = 0

    def send(self, instance_id: UUID, data: bytes, *, expires_s: float) -> None:
        """See `ControlTransport`; whether the message has expired is for its receiver to see."""
        self._network._to_guest(instance_id, data)

    def answer(self, request_digest: bytes, data: bytes) -> None:
        """See `ControlTransport`."""
        self._network._answers[request_digest] = data

    def receive(self, limit: int) -> Sequence[Letter]:
        """See `ControlTransport`."""
        while len(self._held) < limit and (arrived := self._network._for_control()) is not None:
            self._count += 1
            self._held[self._count] = Letter(self._count, *arrived)
        return list(self._held.values())[:limit]

    def done(self, letters: Sequence[Letter]) -> None:
        """See `ControlTransport`."""
        for letter in letters:
            self._held.pop(letter.id, None)
