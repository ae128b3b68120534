"""The gateway as a server over TLS: who is let in, what is bounded, how waiting ends, and a whole conversation."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from tests.support.gateway_server import Certificates, serving
from tests.support.ledgers import ABOUT, VAULT, ledger_on
from tests.support.strategies import FLAVOR, VERSION

from muniment.bus.endpoint import Endpoint
from muniment.bus.enrolment import Enrolling
from muniment.bus.envelope import Kind
from muniment.bus.keyring import Keyring
from muniment.bus.suite import Direction
from muniment.bus.transports.addresses import AddressFile
from muniment.bus.transports.gateway import GatewayTransport
from muniment.bus.transports.gateway_wire import ENROL_PATH, downlink_path, uplink_path
from muniment.clock import SystemClock, seconds
from muniment.contract.messages import Outcome, decode_command, encode
from muniment.dispatch.conductor import Conductor
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.dispatch.guest_keys import GuestKeys, forget_guest
from muniment.dispatch.mail import TableMail
from muniment.dispatch.relay import Relay
from muniment.domain.instance import InstanceRequested
from muniment.fault import Fault
from muniment.secret import Secret
from muniment.store.ledger import Ledger
from muniment.store.sqlite import open_sqlite
from muniment.store.state import OutboxRow
from muniment.store.writes import AddDownlink, AddOutbox, Enqueue, OpenCommand
from muniment_api.gateway.app import Gateway
from muniment_api.gateway.settings import GatewaySettings

LIMIT_S = 20.0
TOKEN = Secret(b"t" * 32)
PASSWORD = "password"


class House:
    """A gateway over a store on disk, served over TLS."""

    def __init__(
        self,
        directory: Path,
        settings: GatewaySettings | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Everything below `directory`."""
        self.clock = SystemClock()
        self.ledger: Ledger = ledger_on(open_sqlite(directory / "ledger.sqlite"), self.clock)
        self.keys = GuestKeys(VAULT)
        self.gateway = Gateway(GatewayTables(self.ledger, self.clock), settings, elapsed)
        self.mail = TableMail(self.ledger, self.gateway.ring)
        self.certificates = Certificates(directory)
        self.addresses = directory / "gateway"
        self.url = ""

    @contextmanager
    def open(self) -> Iterator["House"]:
        """Serve."""
        with serving(self.gateway, self.certificates) as self.url:
            self.addresses.write_text(self.url + "\n")
            yield self
        self.ledger.close()

    @property
    def now_s(self) -> float:
        """Seconds since 1970."""
        return seconds(self.clock.now())

    def admit(self, password: str = PASSWORD) -> UUID:
        """An instance with a password."""
        name = uuid4()
        writes = self.keys.admit(name, 1, Secret(bytes(32)), Secret(password), bytes(32))
        self.ledger.save([], ABOUT, writes=writes)
        return name

    def put_down(self, name: UUID, data: bytes) -> None:
        """Something for a guest, as a relay adds it."""
        self.ledger.save([], ABOUT, writes=[AddDownlink(name, data, self.now_s + 60)])
        self.mail.posted()

    def client(self, password: str = PASSWORD) -> httpx.Client:
        """An HTTP client that trusts the gateway's certificate and shows this password."""
        return httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cafile=self.certificates.ca_file),
            headers={"Authorization": f"Bearer {password}"},
            timeout=LIMIT_S,
        )

    def transport(self, name: UUID, **options: object) -> GatewayTransport:
        """A guest's end."""
        return GatewayTransport(
            name,
            AddressFile(self.addresses),
            ca_file=self.certificates.ca_file,
            **options,  # type: ignore[arg-type]  # each test passes the options of that class
        )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A gateway with the ordinary settings."""
    with House(tmp_path).open() as opened:
        yield opened


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, within a limit."""
    ends = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends, "it did not come true"
        threading.Event().wait(0.01)


# -- who is let in -----------------------------------------------------------------------------------------------------


def test_password(house: House) -> None:
    """Without the instance's own password nothing is taken and nothing handed out."""
    name, other = house.admit("password"), house.admit("other password")
    house.put_down(name, b"sealed")
    for password, path in (
        ("wrong", name),
        ("other password", name),
        ("password", other),
        ("password", uuid4()),
    ):
        with house.client(password) as client:
            assert client.get(downlink_path(path)).status_code == 401
            assert client.post(uplink_path(path), content=b"x").status_code == 401
    with house.ledger.reading() as reader:
        assert reader.inbox(10) == []


def test_password_given_out_a_moment_ago(house: House) -> None:
    """A guest that enrolled while somebody probed its name is let in at once."""
    name = uuid4()
    with house.client() as client:
        assert client.get(downlink_path(name)).status_code == 401
        writes = house.keys.admit(name, 1, Secret(bytes(32)), Secret("password"), bytes(32))
        house.ledger.save([], ABOUT, writes=writes)
        assert client.get(downlink_path(name)).status_code == 204


def test_deleted_instance(tmp_path: Path) -> None:
    """The password of a deleted instance opens nothing after five seconds."""
    passed = [0.0]
    with House(tmp_path, elapsed=lambda: passed[0]).open() as house:
        name = house.admit()
        with house.client() as client:
            assert client.get(downlink_path(name)).status_code == 204
            house.ledger.save([], ABOUT, writes=forget_guest(name))
            passed[0] += 5
            assert client.get(downlink_path(name)).status_code == 401


def test_another_certificate(house: House, tmp_path: Path) -> None:
    """A guest does not talk to a gateway whose certificate its authority did not sign."""
    (tmp_path / "other").mkdir()
    other = Certificates(tmp_path / "other")
    guest = GatewayTransport(
        uuid4(), AddressFile(house.addresses), ca_file=other.ca_file, patience_s=0, pause=lambda s: None
    )
    with pytest.raises(Fault, match="ConnectError"):
        guest.send(b"x")
    guest.close()


# -- what is bounded ---------------------------------------------------------------------------------------------------


def test_sizes(house: House) -> None:
    """Bodies over their limits are refused, whatever they say of their length."""
    name = house.admit()

    def parts(count: int) -> Iterator[bytes]:
        return (bytes(64 * 1024) for _ in range(count))

    with house.client() as client:
        assert client.post(uplink_path(name), content=bytes(1024 * 1024 + 89)).status_code == 413
        assert client.post(uplink_path(name), content=parts(40)).status_code == 413
        assert client.post(ENROL_PATH, content=bytes(1000)).status_code == 413


@pytest.mark.parametrize("wait", ["soon", "1e", ""])
def test_wait_is_a_number(house: House, wait: str) -> None:
    """Any other is refused."""
    name = house.admit()
    with house.client() as client:
        assert client.get(downlink_path(name), params={"wait": wait}).status_code == 400


@pytest.mark.parametrize("wait", ["nan", "-1", "-inf", "0"])
def test_no_wait(house: House, wait: str) -> None:
    """What is no time to wait is no wait."""
    name = house.admit()
    with house.client() as client:
        assert client.get(downlink_path(name), params={"wait": wait}).status_code == 204


def test_not_a_request(house: House) -> None:
    """Bytes that are no enrolment request are refused and not kept."""
    with house.client() as client:
        assert client.post(ENROL_PATH, content=b"let me in").status_code == 400
    with house.ledger.reading() as reader:
        assert reader.inbox(10) == []


@pytest.mark.parametrize("path", ["/", "/v1/instances/7/uplink", "/v1/instances/x/downlink", "/v1.0/x"])
def test_nothing_else(house: House, path: str) -> None:
    """There is nothing else to talk to."""
    with house.client() as client:
        assert client.get(path).status_code == 404


def test_rate(tmp_path: Path) -> None:
    """An instance that floods is slowed down, alone, and told when to come again."""
    with House(tmp_path, GatewaySettings(uplink_rate=0.01, uplink_burst=3)).open() as house:
        name, other = house.admit(), house.admit()
        with house.client() as client:
            answers = [client.post(uplink_path(name), content=b"x") for _ in range(4)]
            assert [answer.status_code for answer in answers] == [204, 204, 204, 429]
            assert int(answers[-1].headers["Retry-After"]) >= 100
            assert client.post(uplink_path(other), content=b"x").status_code == 204


def test_inbox_full(tmp_path: Path) -> None:
    """Past the bound of waiting messages an instance is told to come again; others are not affected."""
    with House(tmp_path, GatewaySettings(uplink_rate=10_000, uplink_burst=10_000)).open() as house:
        name, other = house.admit(), house.admit()
        with house.client() as client:
            statuses = [client.post(uplink_path(name), content=b"x").status_code for _ in range(257)]
            assert statuses == [204] * 256 + [429]
            assert client.post(uplink_path(other), content=b"x").status_code == 204


def test_too_many_wait(tmp_path: Path) -> None:
    """Past the bound of waiting polls a further one is sent away, not kept."""
    with House(tmp_path, GatewaySettings(waiting_polls_max=1)).open() as house, ThreadPoolExecutor() as pool:
        one, two = house.admit(), house.admit()
        with house.client() as client:
            waiting = pool.submit(client.get, downlink_path(one), params={"wait": "20"})
            until(lambda: len(house.gateway._polls) == 1)
            assert client.get(downlink_path(two), params={"wait": "20"}).status_code == 503
            house.put_down(one, b"x")
            assert waiting.result(LIMIT_S).status_code == 200


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_woken(house: House) -> None:
    """A waiting poll is answered when something is added, long before it would end."""
    name = house.admit()
    guest = house.transport(name)
    guest.authorise(Secret("password"))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(guest.receive, wait_s=LIMIT_S)
        until(lambda: len(house.gateway._polls) == 1)
        began = time.monotonic()
        house.put_down(name, b"sealed")
        assert list(waiting.result(LIMIT_S)) == [b"sealed"]
        assert time.monotonic() - began < LIMIT_S / 2
    guest.close()


def test_woken_by_another_process(house: House) -> None:
    """What another process added is found as well: nobody rings for it."""
    name = house.admit()
    with house.client() as client, ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.get, downlink_path(name), params={"wait": str(LIMIT_S)})
        until(lambda: len(house.gateway._polls) == 1)
        house.ledger.save([], ABOUT, writes=[AddDownlink(name, b"sealed", house.now_s + 60)])
        assert waiting.result(LIMIT_S).status_code == 200


def test_newer_poll_takes_over(house: House) -> None:
    """A guest that polls anew, having lost its connection, ends the poll it left behind."""
    name = house.admit()
    with house.client() as client, ThreadPoolExecutor() as pool:
        left_behind = pool.submit(client.get, downlink_path(name), params={"wait": str(LIMIT_S)})
        until(lambda: len(house.gateway._polls) == 1)
        newer = pool.submit(client.get, downlink_path(name), params={"wait": str(LIMIT_S)})
        assert left_behind.result(LIMIT_S / 2).status_code == 204
        house.put_down(name, b"sealed")
        assert newer.result(LIMIT_S / 2).status_code == 200


def test_close(house: House) -> None:
    """Closing answers all who wait, so that the server can stop at once."""
    name = house.admit()
    with house.client() as client, ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.get, downlink_path(name), params={"wait": str(LIMIT_S)})
        until(lambda: len(house.gateway._polls) == 1)
        house.gateway.close()
        assert waiting.result(LIMIT_S / 2).status_code == 204


def test_cursor_of_another_database(house: House) -> None:
    """A cursor that names no row, as after a restored backup, confirms nothing."""
    name = house.admit()
    house.put_down(name, b"sealed")
    with house.client() as client:
        answer = client.get(downlink_path(name), params={"after": "99-0123456789abcdef"})
    assert answer.status_code == 200
    assert b"sealed" in answer.content


# -- an agent's end ----------------------------------------------------------------------------------------------------


def test_gateway_moves(house: House) -> None:
    """An agent finds a gateway that moved to another port, by its file alone."""
    name = house.admit()
    here = house.addresses.read_text()
    house.addresses.write_text("https://127.0.0.1:1\n")
    waits: list[float] = []

    def pause(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 2:
            house.addresses.write_text(here)

    guest = house.transport(name, pause=pause)
    guest.authorise(Secret("password"))
    guest.send(b"sealed")
    assert len(waits) == 2
    with house.ledger.reading() as reader:
        assert [row.payload for row in reader.inbox(10)] == [b"sealed"]
    guest.close()


def test_no_addresses_for_a_moment(house: House) -> None:
    """A file of addresses that is being written anew, and so empty or gone for a moment, is waited for."""
    here = house.addresses.read_text()
    house.addresses.unlink()
    steps = iter(["", "ftp://nowhere\n", here])
    guest = house.transport(house.admit(), pause=lambda wait_s: _write(house.addresses, next(steps)))
    guest.authorise(Secret(PASSWORD))
    guest.send(b"sealed")
    assert next(steps, None) is None
    guest.close()


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def test_second_gateway(house: House) -> None:
    """Of several gateways an agent uses one that answers, and stays with it."""
    name = house.admit()
    house.addresses.write_text(f"# two\nhttps://127.0.0.1:1\n{house.url}\n")
    waits: list[float] = []
    guest = house.transport(name, pause=waits.append)
    guest.authorise(Secret("password"))
    for _ in range(3):
        guest.send(b"sealed")
    assert len(waits) == 1
    guest.close()


def test_patience(house: House) -> None:
    """An agent waits ever longer between tries, with jitter, and gives up after its patience, to try again later."""
    house.addresses.write_text("https://127.0.0.1:1\n")
    passed = [0.0]

    def pause(wait_s: float) -> None:
        passed.append(passed[-1] + wait_s)

    guest = house.transport(
        uuid4(), pause=pause, elapsed=lambda: passed[-1], jitter=lambda: 0.5, patience_s=60
    )
    with pytest.raises(Fault, match="tried") as caught:
        guest.send(b"x")
    waits = [after - before for before, after in pairwise(passed)]
    assert waits == [0.375, 0.75, 1.5, 3.0, 6.0, 12.0, 22.5]
    assert caught.value.retryable
    guest.close()


def test_refused_for_good(house: House) -> None:
    """A password that stays wrong is a fault that trying again will not mend."""
    guest = house.transport(house.admit(), patience_s=0, pause=lambda wait_s: None)
    guest.authorise(Secret("wrong"))
    with pytest.raises(Fault, match="401") as caught:
        guest.receive(wait_s=0)
    assert not caught.value.retryable
    assert "wrong" not in str(caught.value)
    guest.close()


# -- all together ------------------------------------------------------------------------------------------------------


def test_conversation(house: House) -> None:
    """A guest enrols, gets a command and answers it, over TLS, past a conductor and a relay in a loop of their own."""
    name, operation_id = uuid4(), uuid4()
    requested = InstanceRequested(
        originator_id=name,
        originator_version=1,
        name="books",
        flavor=FLAVOR,
        volume_size_gib=5,
        datastore=VERSION,
    )
    writes = [
        Enqueue(operation_id, "create_instance.1", house.now_s + 600),
        house.keys.open_enrolment(name, 1, TOKEN, house.now_s + 600),
    ]
    house.ledger.save([requested], ABOUT, writes=writes)
    with _control_plane(house):
        guest = house.transport(name)
        enrolling = Enrolling(name, 1, TOKEN, "server-1")
        answer = guest.enrol(enrolling.request, wait_s=LIMIT_S)
        assert answer is not None
        admission = enrolling.open(answer)
        guest.authorise(admission.bearer)
        keys = Keyring(lambda instance_id, epoch: admission.root_key)
        end = Endpoint(keys, name, says=Direction.TO_CONTROL, epoch=1, session=admission.server_time_ms)
        _record_command(house, name, operation_id)
        (data,) = guest.receive(wait_s=LIMIT_S)
        now_ms = int(house.now_s * 1000)
        command = decode_command(end.open(data, now_ms=now_ms).body)
        outcome = Outcome(command_id=command.command_id, ok=True, result=b"{}")
        guest.send(end.seal(Kind.REPLY, encode(outcome), now_ms=now_ms, lifetime_ms=60_000))
        until(lambda: len(_signals(house, operation_id)) == 1)
        guest.close()


def _signals(house: House, operation_id: UUID) -> list[bytes]:
    with house.ledger.reading() as reader:
        return [signal.payload for signal in reader.signals(operation_id)]


def _record_command(house: House, name: UUID, operation_id: UUID) -> None:
    command_id = uuid4()
    row = OutboxRow(
        id=str(command_id),
        operation_id=operation_id,
        instance_id=name,
        op="db.create",
        op_version=1,
        args=b"{}",
        secret_refs={},
        instance_epoch=1,
        set_epoch=0,
        deadline_s=house.now_s + 60,
    )
    house.ledger.save([], ABOUT, writes=[AddOutbox(row), OpenCommand(name, command_id, operation_id)])


@contextmanager
def _control_plane(house: House) -> Iterator[None]:
    """Conductor and relay, as a role's loop calls them."""
    conductor = Conductor(house.ledger, VAULT, house.mail, house.clock)
    relay = Relay(house.ledger, VAULT, house.mail, house.clock)
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            if not conductor.run_once() + relay.run_once():
                stop.wait(0.01)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()
