"""The smallest gateway that an agent can use: one instance, plain HTTP on loopback, everything in memory."""

import sys
import threading
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from muniment.bus.envelope import ENVELOPE_BYTES_MAX
from muniment.bus.transports.gateway_wire import (
    BINARY,
    ENROL_PATH,
    WAIT_S_MAX,
    Downlink,
    downlink_path,
    encode_downlink,
    uplink_path,
)

__all__ = ["BenchGateway"]

Admit = Callable[[bytes], bytes]
"""An enrolment request in, its answer out."""

_POLL_S: Final = 0.05


class BenchGateway:
    """Carries sealed bytes both ways. Serves from threads of its own until `close`."""

    def __init__(self, instance_id: UUID, admit: Admit, bearer: str) -> None:
        """Listen on a free port."""
        self.uplink: SimpleQueue[bytes] = SimpleQueue()
        """What the agent sent, oldest first."""
        self._instance_id = instance_id
        self._admit = admit
        self._bearer = bearer
        self._letters: deque[tuple[int, bytes]] = deque()
        """What is not confirmed yet, each with its number. An agent that was killed is handed these again, and no others."""
        self._newest = 0
        self._fetched = 0
        self.polls = 0
        """How often somebody asked for what is there."""
        self._changed = threading.Condition()
        self._is_open = True
        self._server = _Listener(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL_S}, daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """For the agent's address file."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def send(self, envelope: bytes) -> int:
        """Put an envelope down for the agent; its number, counted from 1."""
        with self._changed:
            self._newest += 1
            self._letters.append((self._newest, envelope))
            self._changed.notify_all()
            return self._newest

    def was_fetched(self, number: int, *, timeout_s: float) -> bool:
        """Wait until the agent was given that envelope."""
        with self._changed:
            return self._changed.wait_for(lambda: self._fetched >= number, timeout_s)

    def close(self) -> None:
        """Stop serving."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fetch(self, after: int, *, wait_s: float) -> Downlink:
        """Forget the envelopes up to `after`, which are dealt with; then what is there, waiting a while for something to come."""
        with self._changed:
            self.polls += 1
            poll = self.polls
            self._changed.notify_all()
            while self._letters and self._letters[0][0] <= after:
                self._letters.popleft()
            self._changed.wait_for(lambda: self._letters or self.polls != poll or not self._is_open, wait_s)
            if self.polls != poll:
                # Whoever asked before was killed: what it is handed now, nobody was given.
                return Downlink(str(after), [])
            self._fetched = self._newest
            self._changed.notify_all()
            return Downlink(str(self._newest), [envelope for _, envelope in self._letters])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size_bytes = min(int(self.headers.get("Content-Length", 0)), ENVELOPE_BYTES_MAX)
                body = self.rfile.read(size_bytes)
                if len(body) < size_bytes:
                    # The agent was killed while it sent this: nobody waits for an answer.
                    self.close_connection = True
                    return
                if urlsplit(self.path).path == ENROL_PATH:
                    self._answer(HTTPStatus.OK, gateway._admit(body))
                elif self._is_known() and self.path == uplink_path(gateway._instance_id):
                    gateway.uplink.put(body)
                    self._answer(HTTPStatus.ACCEPTED)
                else:
                    self._answer(HTTPStatus.NOT_FOUND)

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if not self._is_known() or parts.path != downlink_path(gateway._instance_id):
                    self._answer(HTTPStatus.NOT_FOUND)
                    return
                query = parse_qs(parts.query)
                wait_s = min(float(query.get("wait", ["0"])[0]), WAIT_S_MAX)
                downlink = gateway.fetch(int(query.get("after", ["0"])[0]), wait_s=wait_s)
                self._answer(HTTPStatus.OK, encode_downlink(downlink))

            def log_message(self, format: str, *args: object) -> None:
                """Requests are of no interest."""

            def _is_known(self) -> bool:
                return self.headers.get("Authorization") == f"Bearer {gateway._bearer}"

            def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
                self.send_response(status)
                self.send_header("Content-Type", BINARY)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that broke: agents are killed here on purpose."""
        if not isinstance(sys.exception(), ConnectionError):
            raise
