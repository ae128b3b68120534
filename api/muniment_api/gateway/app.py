"""The gateway's three requests: enrol, send, and wait for what comes down.

Everything is filed in the store's tables for conductors and relays, or handed out of them. A waiting request costs no
thread and no query: one watcher asks the store for all of them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, ParamSpec, TypeVar
from uuid import UUID

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from muniment.bus import enrolment
from muniment.bus.envelope import ENVELOPE_BYTES_MAX
from muniment.bus.transports.gateway_wire import (
    BINARY,
    ENROL_PATH,
    WAIT_S_MAX,
    downlink_path,
    encode_downlink,
    uplink_path,
)
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment_api.gateway.bearers import Bearers
from muniment_api.gateway.rates import Rates
from muniment_api.gateway.settings import GatewaySettings
from muniment_api.gateway.waiting import Full, WaitingRoom

__all__ = ["Gateway"]

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_BODY_S_MAX: Final = 15.0
"""How long a body may take to arrive."""
_LOOK_AGAIN_S: Final = 5.0
"""A waiting poll looks for itself this often, in case the watcher was passed by a row with a lower number."""
_THREADS: Final = 8


class Gateway:
    """Serves guests over `tables`. `app` is the ASGI application; `ring` and `close` may be called from any thread."""

    def __init__(
        self,
        tables: GatewayTables,
        settings: GatewaySettings | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`elapsed` is a clock that never goes back, in seconds: rates and waiting go by it."""
        self._tables = tables
        self._settings = settings = settings or GatewaySettings()
        self._elapsed = elapsed
        self._bearers = Bearers(tables.password_digest, elapsed)
        self._uplinks = Rates(settings.uplink_rate, settings.uplink_burst, elapsed)
        self._downlinks = Rates(settings.downlink_rate, settings.downlink_burst, elapsed)
        self._enrolments = Rates(settings.enrolment_rate, settings.enrolment_burst, elapsed)
        self._polls = WaitingRoom(settings.waiting_polls_max)
        self._asking = WaitingRoom(settings.waiting_enrolments_max)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bell = asyncio.Event()
        self._limiter: CapacityLimiter | None = None
        self.app = Starlette(
            routes=[
                Route(ENROL_PATH, self._enrol, methods=["POST"]),
                Route(uplink_path("{instance_id:uuid}"), self._uplink, methods=["POST"]),
                Route(downlink_path("{instance_id:uuid}"), self._downlink, methods=["GET"]),
                Route("/healthz", _healthz, methods=["GET"]),
            ],
            exception_handlers={Refused: _refused, Fault: _fault, Full: _full, ClientDisconnect: _gone},
            lifespan=self._lifespan,
        )

    def ring(self) -> None:
        """Something was added for guests: whoever waits for it looks now and not at the next tick."""
        self._in_loop(self._bell.set)

    def close(self) -> None:
        """Answer all waiting requests, so that the server can stop; later ones do not wait."""
        self._in_loop(self._end_waiting)

    def _in_loop(self, call: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(call)

    def _end_waiting(self) -> None:
        self._polls.close()
        self._asking.close()

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._limiter = CapacityLimiter(_THREADS)
        watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._end_waiting()
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            self._loop = None

    async def _watch(self) -> None:
        """Wake those for whom something was added, here or by another process."""
        newest = 0
        while True:
            try:
                async with asyncio.timeout(self._settings.poll_s):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()
            self._asking.call_all()
            if not len(self._polls):
                continue
            try:
                newest, instances = await self._run(self._tables.added_after, newest)
            except Exception:
                log.exception("gateway cannot look for new messages")
                continue
            self._polls.call(map(str, instances))

    async def _run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call of the store in a thread; requests queue here for one of a few, not in the store's pool."""
        return await to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self._limiter)

    async def _enrol(self, request: Request) -> Response:
        """Pass an enrolment on and wait for its answer: 200 with it, or 202, ask again."""
        self._slow_down(self._enrolments, request.client.host if request.client else "")
        try:
            wanted = enrolment.read_request(await _body(request, enrolment.REQUEST_BYTES_MAX))
        except enrolment.EnrolmentError as error:
            raise HTTPException(400, "not an enrolment request") from error
        ends_s = self._elapsed() + _wait_s(request)
        with self._asking.seat(wanted.digest.hex()) as seat:
            answer = await self._run(self._tables.enrolment_answer, wanted)
            if answer is None:
                await self._run(self._tables.file_enrolment, wanted)
            while answer is None and (left_s := ends_s - self._elapsed()) > 0 and not seat.is_over:
                await seat.wait(left_s)
                answer = await self._run(self._tables.enrolment_answer, wanted)
        return Response(status_code=202) if answer is None else Response(answer, media_type=BINARY)

    async def _uplink(self, request: Request) -> Response:
        """File one envelope."""
        instance_id = await self._authenticated(request, self._uplinks)
        data = await _body(request, ENVELOPE_BYTES_MAX)
        await self._run(self._tables.file_envelope, instance_id, data)
        return Response(status_code=204)

    async def _downlink(self, request: Request) -> Response:
        """Hand out what waits for the guest, or wait for it: 200 with envelopes, or 204."""
        instance_id = await self._authenticated(request, self._downlinks)
        ends_s = self._elapsed() + _wait_s(request)
        if cursor := request.query_params.get("after", "")[:64]:
            await self._run(self._tables.confirm, instance_id, cursor)
        with self._polls.seat(str(instance_id)) as seat:
            while True:
                found = await self._run(self._tables.waiting, instance_id)
                if found is not None:
                    return Response(encode_downlink(found), media_type=BINARY)
                left_s = ends_s - self._elapsed()
                if left_s <= 0 or seat.is_over:
                    return Response(status_code=204)
                await seat.wait(min(left_s, _LOOK_AGAIN_S))

    async def _authenticated(self, request: Request, rates: Rates) -> UUID:
        """The instance whose password the request shows, within its rate."""
        instance_id: UUID = request.path_params["instance_id"]
        shown = request.headers.get("authorization", "")
        if not await self._run(self._bearers.admits, instance_id, shown):
            raise HTTPException(401, "not this instance's password", {"WWW-Authenticate": "Bearer"})
        self._slow_down(rates, str(instance_id))
        return instance_id

    def _slow_down(self, rates: Rates, name: str) -> None:
        if wait_s := rates.take(name):
            raise HTTPException(429, "too many requests", _retry_after(wait_s))


async def _body(request: Request, bytes_max: int) -> bytes:
    """The request's body, bounded in size and time, whatever its headers say."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S_MAX):
            async for part in request.stream():
                body += part
                if len(body) > bytes_max:
                    raise HTTPException(413, f"at most {bytes_max} bytes")
    except TimeoutError as error:
        raise HTTPException(408, f"the body took longer than {_BODY_S_MAX:.0f} s") from error
    return bytes(body)


def _wait_s(request: Request) -> float:
    """How long the caller wants to wait, within our bound."""
    asked = request.query_params.get("wait", "0")
    try:
        wait_s = float(asked)
    except ValueError as error:
        raise HTTPException(400, "wait is a number of seconds") from error
    # A comparison with NaN is false, so NaN ends as no wait.
    return min(wait_s, WAIT_S_MAX) if wait_s > 0 else 0.0


def _retry_after(wait_s: float) -> Mapping[str, str]:
    return {"Retry-After": str(max(1, round(wait_s + 0.5)))}


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return PlainTextResponse(error.message, error.status, headers=_retry_after(1))


async def _fault(request: Request, error: Exception) -> Response:
    assert isinstance(error, Fault)
    log.error("gateway cannot serve", port=error.port, reason=error.message)
    return PlainTextResponse("try again", 503, headers=_retry_after(2))


async def _full(request: Request, error: Exception) -> Response:
    return PlainTextResponse("too many wait; try again", 503, headers=_retry_after(5))


async def _gone(request: Request, error: Exception) -> Response:
    """The caller went away in the middle of its request; nobody reads this."""
    return Response(status_code=400)
