"""What every transport promises, for memory and for the gateway alike: bytes go both ways, and come again until
they were dealt with."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest
from tests.support.gateway_server import Certificates, serving
from tests.support.ledgers import ABOUT, VAULT, ledger_on

from muniment.bus.enrolment import Enrolling
from muniment.bus.transport import ControlTransport, GuestTransport, Letter, LetterKind
from muniment.bus.transports.addresses import AddressFile
from muniment.bus.transports.gateway import GatewayTransport
from muniment.bus.transports.memory import MemoryNetwork
from muniment.clock import ManualClock, SystemClock, seconds
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.mail import TableMail
from muniment.secret import Secret
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment.store.writes import AnswerEnrolment
from muniment_api.gateway.app import Gateway

TOKEN = Secret(b"t" * 32)
LIMIT_S = 10.0


class TableControl:
    """The control plane's end of the gateway: tables, in saves of their own, as a `ControlTransport`."""

    def __init__(self, ledger: Ledger, gateway: Gateway) -> None:
        """Ring `gateway` whenever something was added."""
        self._ledger = ledger
        self._mail = TableMail(ledger, gateway.ring)
        self.enrolments: dict[bytes, UUID] = {}

    def send(self, instance_id: UUID, data: bytes, *, expires_s: float) -> None:
        """See `ControlTransport`."""
        self._ledger.save([], ABOUT, writes=self._mail.post(instance_id, data, expires_s=expires_s))
        self._mail.posted()

    def answer(self, request_digest: bytes, data: bytes) -> None:
        """See `ControlTransport`; records the answer, which is the conductor's part."""
        write = AnswerEnrolment(self.enrolments[request_digest], 1, request_digest, data)
        self._ledger.save([], ABOUT, writes=[write])
        self._mail.answer(request_digest, data)

    def receive(self, limit: int) -> Sequence[Letter]:
        """See `ControlTransport`."""
        return self._mail.receive(limit)

    def done(self, letters: Sequence[Letter]) -> None:
        """See `ControlTransport`."""
        writes = [write for letter in letters for write in self._mail.receipt(letter)]
        self._ledger.save([], ABOUT, writes=writes)


class Line:
    """A transport with both of its ends."""

    def __init__(
        self,
        control: ControlTransport,
        connect: Callable[[UUID], GuestTransport],
        now_s: Callable[[], float],
        expect: Callable[[UUID, bytes], None] = lambda instance_id, request: None,
    ) -> None:
        """`connect` makes a guest's end that may be used; `expect` prepares for an enrolment request."""
        self.control = control
        self.connect = connect
        self.now_s = now_s
        self.expect = expect

    def send(self, instance_id: UUID, data: bytes) -> None:
        """Send one for a minute."""
        self.control.send(instance_id, data, expires_s=self.now_s() + 60)


def memory_line() -> Iterator[Line]:
    """The memory transport without faults."""
    clock = ManualClock()
    network = MemoryNetwork(clock, Random(1))
    yield Line(network.control, network.guest, lambda: seconds(clock.now()))


def gateway_line(directory: Path) -> Iterator[Line]:
    """The gateway over TLS."""
    clock = SystemClock()
    ledger = ledger_on(open_memory(), clock)
    keys = GuestKeys(VAULT)
    gateway = Gateway(GatewayTables(ledger, clock))
    control = TableControl(ledger, gateway)
    certificates = Certificates(directory)
    addresses = directory / "gateway"
    opened: list[GatewayTransport] = []

    def connect(instance_id: UUID) -> GuestTransport:
        password = Secret(f"password of {instance_id}")
        ledger.save([], ABOUT, writes=keys.admit(instance_id, 1, Secret(bytes(32)), password, bytes(32)))
        guest = GatewayTransport(instance_id, AddressFile(addresses), ca_file=certificates.ca_file)
        guest.authorise(password)
        opened.append(guest)
        return guest

    def now_s() -> float:
        return seconds(clock.now())

    def expect(instance_id: UUID, request: bytes) -> None:
        control.enrolments[sha256(request).digest()] = instance_id
        ledger.save([], ABOUT, writes=[keys.open_enrolment(instance_id, 1, TOKEN, now_s() + 60)])

    with serving(gateway, certificates) as url:
        addresses.write_text(url)
        yield Line(control, connect, now_s, expect)
        for guest in opened:
            guest.close()
    ledger.close()


@pytest.fixture(params=["memory", "gateway"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    """Each transport in turn."""
    yield from memory_line() if request.param == "memory" else gateway_line(tmp_path)


def test_down(line: Line) -> None:
    """What is sent to a guest arrives unchanged and in order."""
    name = uuid4()
    guest = line.connect(name)
    messages = [bytes((n,)) * (n + 1) for n in range(5)]
    for message in messages:
        line.send(name, message)
    assert list(guest.receive(wait_s=LIMIT_S)) == messages


def test_up(line: Line) -> None:
    """What guests send arrives unchanged; letters come again until they are done."""
    guest = line.connect(uuid4())
    guest.send(b"first")
    guest.send(bytes(range(256)))
    letters = line.control.receive(10)
    assert [(letter.kind, letter.data) for letter in letters] == [
        (LetterKind.ENVELOPE, b"first"),
        (LetterKind.ENVELOPE, bytes(range(256))),
    ]
    line.control.done(letters[:1])
    assert [letter.data for letter in line.control.receive(10)] == [bytes(range(256))]


def test_limit(line: Line) -> None:
    """No more letters come than were asked for."""
    guest = line.connect(uuid4())
    for _ in range(3):
        guest.send(b"x")
    assert len(line.control.receive(2)) == 2


def test_nothing(line: Line) -> None:
    """Where nothing is, nothing comes, at either end."""
    assert list(line.connect(uuid4()).receive(wait_s=0)) == []
    assert list(line.control.receive(10)) == []


def test_own_messages_only(line: Line) -> None:
    """A guest gets what is for it and not what is for another."""
    one, two = uuid4(), uuid4()
    first, second = line.connect(one), line.connect(two)
    line.send(two, b"for two")
    assert list(first.receive(wait_s=0)) == []
    assert list(second.receive(wait_s=LIMIT_S)) == [b"for two"]


def test_once(line: Line) -> None:
    """Asking again confirms what came before: it does not come a second time."""
    name = uuid4()
    guest = line.connect(name)
    line.send(name, b"a")
    assert list(guest.receive(wait_s=LIMIT_S)) == [b"a"]
    assert list(guest.receive(wait_s=0)) == []
    line.send(name, b"b")
    assert list(guest.receive(wait_s=LIMIT_S)) == [b"b"]


def test_crash_before_dealing(line: Line) -> None:
    """What an agent had received and not dealt with when it died comes again to its successor, before what is new."""
    name = uuid4()
    line.connect(name)
    line.send(name, b"a")
    assert list(line.connect(name).receive(wait_s=LIMIT_S)) == [b"a"]
    line.send(name, b"b")
    assert list(line.connect(name).receive(wait_s=LIMIT_S)) == [b"a", b"b"]


def test_largest(line: Line) -> None:
    """Envelopes of the largest size go both ways, several of them as well."""
    name = uuid4()
    guest = line.connect(name)
    largest = bytes(1024 * 1024 + 88)
    for _ in range(4):
        line.send(name, largest)
    received: list[bytes] = []
    while len(received) < 4 and (came := guest.receive(wait_s=LIMIT_S)):
        received += came
    assert received == [largest] * 4
    guest.send(largest)
    assert line.control.receive(1)[0].data == largest


def test_enrolment(line: Line) -> None:
    """An enrolment request arrives as one; until its answer is there, asking gives None; then always the same."""
    name = uuid4()
    guest = line.connect(name)
    request = Enrolling(name, 1, TOKEN, "server-1").request
    line.expect(name, request)
    assert guest.enrol(request, wait_s=0) is None
    letter = line.control.receive(1)[0]
    assert (letter.kind, letter.data) == (LetterKind.ENROLMENT, request)
    line.control.answer(sha256(request).digest(), b"the answer")
    assert guest.enrol(request, wait_s=LIMIT_S) == b"the answer"
    assert guest.enrol(request, wait_s=LIMIT_S) == b"the answer"
