"""One instance as its operations see it: commands out, outcomes in, unknown ends settled by trying again."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec

from muniment.contract import ops
from muniment.contract.errors import Code
from muniment.contract.kit.client import Login
from muniment.contract.kit.subject import Subject
from muniment.contract.kit.workbench import Workbench
from muniment.contract.messages import Command, Health, HealthState, Outcome
from muniment.contract.ops import Account, Op
from muniment.secret import Secret

__all__ = ["Instance", "Refused"]

A = TypeVar("A", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)

_LIFETIME_S = 120.0
_PAUSES_S = (0.1, 0.3, 0.9, 2.7, 8.1)
"""Before each further try: an engine that was killed is started again and recovers meanwhile."""
_SETTLED_S = 90.0
_RECOVERED_S = 60.0
_LOOK_S = 0.1


class Refused(AssertionError):
    """An op failed that a rule expected to succeed."""

    def __init__(self, op: str, outcome: Outcome) -> None:
        """Name the op and what the guest said."""
        assert outcome.error is not None
        super().__init__(f"{op}: {outcome.error.code}: {outcome.error.message}")
        self.code = outcome.error.code


class Instance:
    """A workbench with a running agent, and the epoch of the instance on it."""

    def __init__(self, bench: Workbench, subject: Subject) -> None:
        """The agent is started here."""
        self.bench = bench
        self.subject = subject
        self.epoch = 1
        bench.start_agent()

    # commands

    def send(
        self,
        op: Op[A, R],
        args: A,
        secrets: Mapping[str, Secret] | None = None,
        *,
        command_id: UUID | None = None,
        epoch: int | None = None,
        lifetime_s: float = _LIFETIME_S,
    ) -> UUID:
        """Send a command and return its id at once."""
        command = Command(
            command_id=command_id or uuid4(),
            op=op.name,
            op_version=op.version,
            instance_epoch=self.epoch if epoch is None else epoch,
            args=msgspec.json.encode(args),
        )
        self.bench.send(command, secrets or {}, lifetime_s=lifetime_s)
        return command.command_id

    def outcome(self, command_id: UUID) -> Outcome:
        """The first answer to a command; AssertionError when none comes."""
        heard = self.bench.outcomes(command_id, at_least=1, timeout_s=_SETTLED_S)
        assert heard, f"no outcome came within {_SETTLED_S:.0f} s"
        return heard[0]

    def call(self, op: Op[A, R], args: A, secrets: Mapping[str, Secret] | None = None) -> Outcome:
        """One command and its answer, whatever it is."""
        return self.outcome(self.send(op, args, secrets))

    def settle(self, op: Op[A, R], args: A, secrets: Mapping[str, Secret] | None, command_id: UUID) -> R:
        """The result of a command that was sent; one whose end is unknown or passing is tried again as a new one.

        Raises:
            Refused: it failed for good.
        """
        for pause_s in _PAUSES_S:
            outcome = self.outcome(command_id)
            if outcome.ok or outcome.error is None or not outcome.error.retryable:
                break
            time.sleep(pause_s)
            command_id = self.send(op, args, secrets)
        outcome = self.outcome(command_id)
        if not outcome.ok:
            raise Refused(op.name, outcome)
        return msgspec.json.decode(outcome.result, type=op.result)

    def do(self, op: Op[A, R], args: A, secrets: Mapping[str, Secret] | None = None) -> R:
        """Have it done; raises Refused."""
        return self.settle(op, args, secrets, self.send(op, args, secrets))

    def refusal(self, op: Op[A, R], args: A, secrets: Mapping[str, Secret] | None = None) -> Code:
        """The code with which an op fails; AssertionError when it succeeds."""
        outcome = self.call(op, args, secrets)
        assert outcome.error is not None, f"{op.name} succeeded"
        return outcome.error.code

    # what many rules need

    def health(self) -> Health:
        """What a probe says now."""
        return self.do(ops.HEALTH_PROBE, ops.Nothing())

    def becomes(self, is_so: Callable[["Instance"], bool]) -> bool:
        """Whether something is so, or becomes so by itself within a minute."""
        limit = time.monotonic() + _RECOVERED_S
        while not (answer := is_so(self)) and time.monotonic() < limit:
            time.sleep(_LOOK_S)
        return answer

    def is_healthy(self) -> bool:
        """Whether the engine answers."""
        return self.health().state is HealthState.HEALTHY

    def has_user(self, account: Account) -> bool:
        """Whether there is such an account."""
        try:
            self.do(ops.USER_GET, ops.GetUser(account=account))
        except Refused as refused:
            if refused.code is not Code.NOT_FOUND:
                raise
            return False
        return True

    def database_names(self) -> list[str]:
        """All databases, in the driver's order."""
        return [item.name for item in self.do(ops.DB_LIST, ops.Page()).items]

    def prepare(self) -> None:
        """Volume and programs: everything that comes before there is data."""
        self.do(ops.VOLUME_PREPARE, self.volume())
        self.do(ops.SERVER_INSTALL, self.install())

    def bring_up(self) -> None:
        """From nothing to a server that answers."""
        self.prepare()
        self.do(ops.SERVER_BOOTSTRAP, self.bootstrap())

    def come_back(self) -> None:
        """After whatever a rule did: agent, volume and server are there."""
        self.bench.start_agent()
        self.do(ops.VOLUME_PREPARE, self.volume())
        self.do(ops.SERVER_START, ops.Nothing())

    def volume(self) -> ops.PrepareVolume:
        """The arguments of volume.prepare."""
        return ops.PrepareVolume(
            volume_id=f"kit-{self.bench.instance_id}", filesystem_uuid=self.bench.instance_id, size_gib=1
        )

    def install(self) -> ops.Install:
        """The arguments of server.install."""
        version = self.subject.version
        return ops.Install(datastore=self.subject.datastore.name, version=version.number, image=version.image)

    def bootstrap(self) -> ops.Bootstrap:
        """The arguments of server.bootstrap, as the control half renders them."""
        memory_mib = self.bench.memory_mib
        config = self.subject.control.base_config(version=self.subject.version.number, memory_mib=memory_mib)
        return ops.Bootstrap(base_config=config, memory_mib=memory_mib)

    def login(self, account: str, password: Secret, database: str = "") -> Login:
        """How a tenant comes in."""
        return Login(self.bench.address, self.bench.port, account, password, database)
