"""A control plane and a guest around one store, for the tests of dispatch: real seals, real rows, a clock by hand."""

from collections.abc import Sequence
from random import Random
from uuid import UUID, uuid4

from tests.support.ledgers import ABOUT, VAULT, ledger_on
from tests.support.strategies import FLAVOR, VERSION

from muniment.bus.endpoint import Endpoint
from muniment.bus.enrolment import Admission, Enrolling, read_request
from muniment.bus.envelope import Kind, Message
from muniment.bus.keyring import Keyring
from muniment.bus.suite import Direction
from muniment.bus.transport import GuestTransport
from muniment.bus.transports.memory import MemoryNetwork
from muniment.clock import ManualClock, seconds
from muniment.contract.messages import Command, FromGuest, decode_command, encode
from muniment.dispatch.conductor import Conductor
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.mail import CarriedMail, Mail, TableMail
from muniment.dispatch.relay import Relay
from muniment.domain.instance import INSTANCE, Instance, InstanceRequested
from muniment.domain.occupancy import Hold, Occupied
from muniment.secret import Secret
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment.store.state import OutboxRow, SignalRow
from muniment.store.writes import AddOutbox, Enqueue, OpenCommand

TOKEN = Secret(b"one-time token, 32 bytes long ..")
EPOCH = 1


class TableTransport:
    """The guest's end of the gateway without HTTP: straight into its tables."""

    def __init__(self, tables: GatewayTables, instance_id: UUID) -> None:
        """Speak for one instance."""
        self._tables = tables
        self._instance_id = instance_id
        self._cursor = ""

    def enrol(self, request: bytes, *, wait_s: float) -> bytes | None:
        """See `GuestTransport`."""
        wanted = read_request(request)
        answer = self._tables.enrolment_answer(wanted)
        if answer is None:
            self._tables.file_enrolment(wanted)
        return answer

    def authorise(self, bearer: Secret) -> None:
        """See `GuestTransport`."""

    def send(self, data: bytes) -> None:
        """See `GuestTransport`."""
        self._tables.file_envelope(self._instance_id, data)

    def receive(self, *, wait_s: float) -> Sequence[bytes]:
        """See `GuestTransport`."""
        self._tables.confirm(self._instance_id, self._cursor)
        found = self._tables.waiting(self._instance_id)
        if found is None:
            return ()
        self._cursor = found.cursor
        return found.envelopes


class Guest:
    """The least that an agent does: enrol, hear, answer. Its clock is the control plane's."""

    def __init__(self, world: "World", instance_id: UUID, token: Secret = TOKEN) -> None:
        """A guest that knows its token and nothing else yet."""
        self.instance_id = instance_id
        self.transport = world.transport(instance_id)
        self.enrolling = Enrolling(instance_id, EPOCH, token, "server-1")
        self.admission: Admission | None = None
        self._world = world

    def ask(self) -> bool:
        """Ask to be admitted, or see whether the answer has come."""
        answer = self.transport.enrol(self.enrolling.request, wait_s=0)
        if answer is not None:
            self.admission = self.enrolling.open(answer)
            self.endpoint = self.new_endpoint(session=self._world.now_ms)
        return answer is not None

    def new_endpoint(self, session: int) -> Endpoint:
        """The sealed end under the root key of the admission."""
        assert self.admission is not None
        root = self.admission.root_key
        keys = Keyring(lambda instance_id, epoch: root if epoch == EPOCH else None)
        return Endpoint(keys, self.instance_id, says=Direction.TO_CONTROL, epoch=EPOCH, session=session)

    def seal(self, said: FromGuest | bytes, kind: Kind = Kind.REPORT) -> bytes:
        """An envelope with this in it."""
        body = said if isinstance(said, bytes) else encode(said)
        return self.endpoint.seal(kind, body, now_ms=self._world.now_ms, lifetime_ms=60_000)

    def say(self, said: FromGuest | bytes) -> bytes:
        """Seal and send; the bytes that were sent."""
        data = self.seal(said)
        self.transport.send(data)
        return data

    def hear(self) -> list[Message]:
        """The fresh messages that came, accepted."""
        messages = []
        for data in self.transport.receive(wait_s=0):
            message = self.endpoint.open(data, now_ms=self._world.now_ms)
            self.endpoint.accept(message)
            messages.append(message)
        return messages

    def commands(self) -> list[Command]:
        """The commands that came."""
        return [decode_command(message.body) for message in self.hear()]


class World:
    """Relay, conductor and store of one control plane, over tables or over a memory network."""

    def __init__(self, over: str = "tables") -> None:
        """`over` is `tables` or `memory`."""
        self.clock = ManualClock()
        self.ledger: Ledger = ledger_on(open_memory(), self.clock)
        self.keys = GuestKeys(VAULT)
        self.network = MemoryNetwork(self.clock, Random(1))
        self.tables = GatewayTables(self.ledger, self.clock)
        self._over = over
        mail: Mail = TableMail(self.ledger) if over == "tables" else CarriedMail(self.network.control)
        self.mail = mail
        self.relay = Relay(self.ledger, VAULT, mail, self.clock)
        self.conductor = self.new_conductor()

    def new_conductor(self) -> Conductor:
        """Another conductor, as in another process."""
        return Conductor(self.ledger, VAULT, self.mail, self.clock, agent_settings={"beat_s": "30"})

    @property
    def now_s(self) -> float:
        """The moment as the tables have it."""
        return seconds(self.clock.now())

    @property
    def now_ms(self) -> int:
        """The moment as envelopes have it."""
        return int(self.now_s * 1000)

    def transport(self, instance_id: UUID) -> GuestTransport:
        """A guest's end of what this world goes over."""
        if self._over == "tables":
            return TableTransport(self.tables, instance_id)
        return self.network.guest(instance_id)

    def build(self) -> tuple[UUID, UUID]:
        """An instance that is being created: its id, and that of the operation, which is in the queue."""
        instance_id, operation_id = uuid4(), uuid4()
        requested = InstanceRequested(
            originator_id=instance_id,
            originator_version=1,
            name="books",
            flavor=FLAVOR,
            volume_size_gib=5,
            datastore=VERSION,
        )
        occupied = Occupied(
            originator_id=instance_id,
            originator_version=2,
            operation_id=operation_id,
            kind="create_instance",
            hold=Hold.EXCLUSIVE,
        )
        writes = [
            Enqueue(operation_id, "create_instance.1", self.now_s + 3600),
            self.keys.open_enrolment(instance_id, EPOCH, TOKEN, self.now_s + 1800),
        ]
        self.ledger.save([requested, occupied], ABOUT, writes=writes)
        return instance_id, operation_id

    def enrolled(self) -> tuple[Guest, UUID]:
        """An instance whose guest has enrolled, and its operation."""
        instance_id, operation_id = self.build()
        guest = Guest(self, instance_id)
        guest.ask()
        self.conductor.run_once()
        assert guest.ask(), "not admitted"
        return guest, operation_id

    def command(
        self,
        guest: Guest,
        operation_id: UUID | None,
        *,
        row_id: str | None = None,
        op: str = "db.create",
        query_of: UUID | None = None,
        secret_refs: dict[str, UUID] | None = None,
        deadline_s: float = 60.0,
    ) -> OutboxRow:
        """Record a command, as an operation's turn does; a question or live query opens no command."""
        row = OutboxRow(
            id=row_id or str(uuid4()),
            operation_id=operation_id,
            instance_id=guest.instance_id,
            op=op,
            op_version=1,
            args=b'{"name":"books"}',
            secret_refs=secret_refs or {},
            instance_epoch=1,
            set_epoch=0,
            deadline_s=self.now_s + deadline_s,
            query_of=query_of,
        )
        writes: list[AddOutbox | OpenCommand] = [AddOutbox(row)]
        if operation_id is not None and query_of is None:
            writes.append(OpenCommand(guest.instance_id, UUID(row.id), operation_id))
        self.ledger.save([], ABOUT, writes=writes)
        return row

    def signals(self, operation_id: UUID) -> list[SignalRow]:
        """What reached an operation."""
        with self.ledger.reading() as reader:
            return reader.signals(operation_id)

    def instance(self, guest: Guest) -> Instance:
        """The instance as its history tells it."""
        instance = self.ledger.load(INSTANCE, guest.instance_id)
        assert instance is not None
        return instance
