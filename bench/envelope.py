"""What the envelope costs over the cipher it uses: sealing and opening against raw AES-GCM, in the same run.

    python bench/envelope.py [--seconds 0.25] [--rounds 5]

Prints messages per second and the ratio to the floor. Trust the ratios: they come from one process, interleaved.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from muniment.bus.envelope import Kind, open_envelope, seal_envelope
from muniment.bus.keyring import Keyring
from muniment.bus.suite import Direction, DirectionKey
from muniment.bus.window import Window
from muniment.secret import Secret

INSTANCE, EPOCH, NOW_MS = UUID(int=7), 1, 1_800_000_000_000
Work = Callable[[], object]


def floor(body: bytes) -> dict[str, Work]:
    """The cipher alone: the same bytes, a random nonce, 72 bytes of associated data."""
    cipher, header, nonce = AESGCM(os.urandom(32)), bytes(72), os.urandom(12)
    text = cipher.encrypt(nonce, body, header)
    return {
        "seal": lambda: cipher.encrypt(os.urandom(12), body, header),
        "open": lambda: cipher.decrypt(nonce, text, header),
    }


def envelope(body: bytes) -> dict[str, Work]:
    """The whole envelope with its keys cached, as relay, conductor and agent use it."""
    root = Secret(os.urandom(32))
    keys = Keyring(lambda instance_id, epoch: root)
    key = DirectionKey(root, INSTANCE, EPOCH, Direction.TO_GUEST)
    window = Window(session=1, high=4, seen=1)

    def seal() -> bytes:
        return seal_envelope(
            body, key, Kind.COMMAND, session=1, sequence=5, issued_ms=NOW_MS, expires_ms=NOW_MS + 60_000
        )

    text = seal()

    def open_() -> object:
        return open_envelope(text, keys, Direction.TO_GUEST, now_ms=NOW_MS, instance_id=INSTANCE)

    def receive() -> object:
        message = open_envelope(text, keys, Direction.TO_GUEST, now_ms=NOW_MS, instance_id=INSTANCE)
        window.check(message)
        return window.accept(message).to_bytes()

    return {"seal": seal, "open": open_, "open+window": receive}


def rate(work: Work, seconds: float) -> float:
    """How often a second, over about `seconds`."""
    calls, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        for _ in range(100):
            work()
        calls += 100
    return calls / passed


def measure(works: dict[str, Work], seconds: float, rounds: int) -> dict[str, float]:
    """Median rate of each, the rounds interleaved so that a busy machine hits all alike."""
    seen: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seen[name].append(rate(work, seconds))
    return {name: statistics.median(rates) for name, rates in seen.items()}


def main() -> None:
    """Measure bodies of 1 KiB and 64 KiB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for size in (1024, 64 * 1024):
        body = os.urandom(size)
        raw = {f"raw {name}": work for name, work in floor(body).items()}
        rates = measure({**raw, **envelope(body)}, options.seconds, options.rounds)
        for name, per_s in rates.items():
            base = rates["raw seal" if name.endswith("seal") else "raw open"]
            print(f"{size:>6} B  {name:<12} {per_s:>12,.0f}/s  {per_s / base:.2f} of raw AES-GCM")


if __name__ == "__main__":
    main()
