"""The guest's end of the gateway: HTTPS outwards only, one request a message, a long poll for what comes down.

It is synchronous and starts no thread. An agent that posts while a poll waits calls it from two threads of its own,
which is safe: `receive` alone touches the cursor.
"""

import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
import msgspec

from muniment.bus.enrolment import ANSWER_BYTES_MAX
from muniment.bus.transports.addresses import AddressFile
from muniment.bus.transports.gateway_wire import (
    BINARY,
    DOWNLINK_BYTES_MAX,
    ENROL_PATH,
    WAIT_S_MAX,
    decode_downlink,
    downlink_path,
    uplink_path,
)
from muniment.fault import Fault
from muniment.secret import Secret

__all__ = ["GatewayTransport", "backoff_s"]

_CONNECT_S: Final = 5.0
_READ_S: Final = 10.0
"""On top of what the gateway was asked to wait."""
_BACKOFF_S_MAX: Final = 30.0
_PASSING: Final = frozenset({401, 408, 429})
"""Refusals that may end by themselves."""


def backoff_s(attempt: int, *, jitter: float) -> float:
    """Wait before try number `attempt` (1 = first retry), in seconds: doubling from half a second up to 30.

    `jitter` is 0..1; at least half of the full wait is kept.

    >>> [backoff_s(n, jitter=1.0) for n in (1, 2, 3, 20)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return min(0.5 * 2.0 ** (min(attempt, 10) - 1), _BACKOFF_S_MAX) * (0.5 + jitter / 2)


class _Trouble(Exception):
    """A try failed in a way that another may not."""

    def __init__(self, message: str, *, wait_s: float = 0.0, is_passing: bool = True) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.is_passing = is_passing


class GatewayTransport:
    """Talks to whichever gateway of the address file answers; tries again, ever more slowly, for `patience_s`."""

    def __init__(
        self,
        instance_id: UUID,
        addresses: AddressFile,
        *,
        ca_file: Path | None = None,
        patience_s: float = 60.0,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Trust the certificates in `ca_file` and no others (without it: those of the machine)."""
        self._instance_id = instance_id
        self._addresses = addresses
        self._patience_s = patience_s
        self._pause = pause
        self._jitter = jitter
        self._elapsed = elapsed
        self._bearer: Secret | None = None
        self._cursor = ""
        self._place = 0
        self._client = httpx.Client(
            verify=ssl.create_default_context(cafile=ca_file),
            # Proxies and credentials of the machine's environment are no business of this conversation.
            trust_env=False,
            # Nothing of this compresses, and what arrives compressed could be of any size.
            headers={"Content-Type": BINARY, "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def enrol(self, request: bytes, *, wait_s: float) -> bytes | None:
        """See `GuestTransport`."""
        params = {"wait": f"{min(wait_s, WAIT_S_MAX):.3f}"}
        status, body = self._ask("POST", ENROL_PATH, wait_s, ANSWER_BYTES_MAX, content=request, params=params)
        return body if status == httpx.codes.OK else None

    def authorise(self, bearer: Secret) -> None:
        """See `GuestTransport`."""
        self._bearer = bearer

    def send(self, data: bytes) -> None:
        """See `GuestTransport`."""
        self._ask("POST", uplink_path(self._instance_id), 0.0, 0, content=data)

    def receive(self, *, wait_s: float) -> Sequence[bytes]:
        """See `GuestTransport`."""
        params = {"after": self._cursor, "wait": f"{min(wait_s, WAIT_S_MAX):.3f}"}
        path = downlink_path(self._instance_id)
        status, body = self._ask("GET", path, wait_s, DOWNLINK_BYTES_MAX, params=params)
        if status != httpx.codes.OK:
            return ()
        try:
            downlink = decode_downlink(body)
        except msgspec.MsgspecError as error:
            raise Fault(
                "gateway", "the gateway answered a poll with something else than envelopes"
            ) from error
        self._cursor = downlink.cursor
        return downlink.envelopes

    def _ask(
        self,
        method: str,
        path: str,
        wait_s: float,
        bytes_max: int,
        *,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request until it is answered; status (2xx) and body.

        Raises:
            Fault: patience ran out (retryable), or the gateway refuses for good (not retryable).
        """
        request = self._client.build_request(
            method,
            path,
            content=content,
            params=params,
            headers=self._credentials(),
            timeout=httpx.Timeout(wait_s + _READ_S, connect=_CONNECT_S),
        )
        started = self._elapsed()
        for attempt in count(1):
            try:
                return self._try(request, bytes_max)
            except _Trouble as trouble:
                self._place += 1
                wait = max(backoff_s(attempt, jitter=self._jitter()), trouble.wait_s)
                if self._elapsed() - started + wait > self._patience_s:
                    message = f"{trouble}; tried {attempt} times"
                    raise Fault("gateway", message, retryable=trouble.is_passing) from trouble
            self._pause(wait)
        raise AssertionError("counting never ends")

    def _try(self, request: httpx.Request, bytes_max: int) -> tuple[int, bytes]:
        """Ask the gateway that answered last, or after a failure the next of the file, which may have changed."""
        try:
            addresses = self._addresses.current()
        except Fault as fault:
            raise _Trouble(fault.message) from fault
        address = addresses[self._place % len(addresses)]
        request.url = httpx.URL(address + request.url.raw_path.decode())
        request.headers["Host"] = request.url.netloc.decode()
        try:
            response = self._client.send(request, stream=True)
            try:
                if response.is_success:
                    return response.status_code, _read(response, bytes_max)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise _Trouble(f"the gateway at {address} cannot be reached ({type(error).__name__})") from error
        raise _trouble_of(address, response)

    def _credentials(self) -> dict[str, str]:
        if self._bearer is None:
            return {}
        return {"Authorization": f"Bearer {self._bearer.reveal_text()}"}


def _read(response: httpx.Response, bytes_max: int) -> bytes:
    """The body, within a bound: the gateway is not trusted with the agent's memory."""
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > bytes_max:
            raise Fault("gateway", f"the gateway answers more than {bytes_max} bytes")
    return bytes(body)


def _trouble_of(address: str, response: httpx.Response) -> Exception:
    """What a status that is no success means: a refusal will not change by asking again, being busy or broken may."""
    status = response.status_code
    if httpx.codes.is_client_error(status) and status not in _PASSING:
        return Fault("gateway", f"the gateway at {address} refuses: {status}", retryable=False)
    # A password that was given out a moment ago may not be known everywhere yet; one that stays unknown is wrong.
    return _Trouble(
        f"the gateway at {address} answers {status}",
        wait_s=_retry_after_s(response),
        is_passing=status != httpx.codes.UNAUTHORIZED,
    )


def _retry_after_s(response: httpx.Response) -> float:
    """What the gateway asks for, in seconds, within our own bound."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), _BACKOFF_S_MAX) if asked.isascii() and asked.isdigit() else 0.0
