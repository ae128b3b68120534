"""A gateway served by uvicorn on a free loopback port, over TLS or plainly, in a thread of this process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme
import uvicorn

from muniment_api.gateway.app import Gateway


class Certificates:
    """An authority and a certificate for 127.0.0.1, as files."""

    def __init__(self, directory: Path) -> None:
        """Write them below `directory`."""
        authority = trustme.CA()
        self.ca_file = directory / "ca.pem"
        self.certificate_file = directory / "gateway.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(self.certificate_file)
        )


@contextmanager
def serving(gateway: Gateway, certificates: Certificates | None = None, port: int = 0) -> Iterator[str]:
    """Serve `gateway` and tell its URL; it answers before this returns, and no more after it ends."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        gateway.app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ssl_certfile=certificates.certificate_file if certificates else None,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    ends = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < ends:
        thread.join(0.01)
    try:
        assert server.started, "the gateway did not start"
        yield f"{'https' if certificates else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        gateway.close()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the gateway did not stop"
        listener.close()
