"""HTTP servers of a role, on one event loop in a thread of their own."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from typing import NamedTuple

import uvicorn
from starlette.types import ASGIApp

from muniment_cli.failure import Failure

__all__ = ["Served", "Web"]

_READY_S = 20.0
_GRACE_S = 3


class Served(NamedTuple):
    """An application, the socket it is served on, and the files that make it TLS."""

    app: ASGIApp
    listener: socket.socket
    certificate: str | None = None
    private_key: str | None = None


class Web:
    """Serves applications until it is stopped."""

    def __init__(self, served: Sequence[Served]) -> None:
        """Prepare the servers; raises Failure when a certificate cannot be used."""
        self.failure = ""
        self._pairs = [(_server(one), one.listener) for one in served]
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin, and return when requests are answered; raises Failure when they never are."""
        self._thread.start()
        while not all(server.started for server, _ in self._pairs):
            if self._ended.wait(0.01):
                raise Failure(f"the HTTP servers ended at once: {self.failure or 'see the log'}")

    @property
    def is_running(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive() and not self._ended.is_set()

    def stop(self) -> None:
        """Finish the requests that are being answered, then end."""
        for server, _ in self._pairs:
            server.should_exit = True
        self._thread.join(_GRACE_S + 2)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (Exception, SystemExit) as error:  # noqa: BLE001  the outermost frame of the thread
            self.failure = str(error) or type(error).__name__
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            for server, listener in self._pairs:
                group.create_task(server.serve(sockets=[listener]))


def _server(served: Served) -> uvicorn.Server:
    config = uvicorn.Config(
        served.app,
        log_config=None,
        access_log=False,
        server_header=False,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=served.certificate,
        ssl_keyfile=served.private_key,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise Failure(f"{served.certificate}: the certificate cannot be used: {error}", code=2) from error
    return uvicorn.Server(config)
