"""Keys, messages and endpoints that the tests of the bus share."""

from uuid import UUID

from muniment.bus.endpoint import Endpoint
from muniment.bus.envelope import Kind, seal_envelope
from muniment.bus.keyring import Keyring, RootSource
from muniment.bus.suite import Direction, DirectionKey, Suite
from muniment.secret import Secret

NOW_MS = 1_800_000_000_000
LIFETIME_MS = 60_000
INSTANCE = UUID("12345678-1234-4234-8234-123456789abc")
OTHER = UUID("22345678-1234-4234-8234-123456789abc")
ROOT = Secret(bytes(range(32)))
OTHER_ROOT = Secret(bytes(range(1, 33)))
EPOCH = 7


def roots_of(roots: dict[tuple[UUID, int], Secret]) -> RootSource:
    """A source that knows these root keys."""
    return lambda instance_id, epoch: roots.get((instance_id, epoch))


def keyring() -> Keyring:
    """Two instances, each with a root key of its own."""
    return Keyring(roots_of({(INSTANCE, EPOCH): ROOT, (OTHER, EPOCH): OTHER_ROOT}))


def sealed(
    body: bytes = b"hello guest",
    *,
    root: Secret = ROOT,
    instance_id: UUID = INSTANCE,
    epoch: int = EPOCH,
    direction: Direction = Direction.TO_GUEST,
    suite: Suite = Suite.AES_256_GCM,
    kind: Kind = Kind.COMMAND,
    session: int = 1,
    sequence: int = 5,
    issued_ms: int = NOW_MS,
    lifetime_ms: int = LIFETIME_MS,
    nonce: bytes | None = None,
) -> bytes:
    """One envelope, valid unless an argument makes it otherwise."""
    return seal_envelope(
        body,
        DirectionKey(root, instance_id, epoch, direction, suite),
        kind,
        session=session,
        sequence=sequence,
        issued_ms=issued_ms,
        expires_ms=issued_ms + lifetime_ms,
        nonce=nonce,
    )


def guest_end(session: int = NOW_MS) -> Endpoint:
    """The guest's end of the conversation with INSTANCE."""
    return Endpoint(keyring(), INSTANCE, says=Direction.TO_CONTROL, epoch=EPOCH, session=session)


def control_end(session: int = 1) -> Endpoint:
    """The control plane's end of it."""
    return Endpoint(keyring(), INSTANCE, says=Direction.TO_GUEST, epoch=EPOCH, session=session)
