"""An HTTP client for an application in this process: plain calls, one event loop, no socket."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx
from starlette.types import ASGIApp


class AsgiClient:
    """Sends requests to an application as if they came from `address`; use it in a `with` block."""

    def __init__(
        self, app: ASGIApp, *, address: str = "127.0.0.1", base_url: str = "http://db.test:8779"
    ) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app, client=(address, 40000), raise_app_exceptions=True)
        self._client = httpx.AsyncClient(transport=transport, base_url=base_url)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request and wait for the whole answer."""
        return self._runner.run(
            self._client.request(method, path, json=json, content=content, headers=headers)
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET with headers given as keywords, `_` for `-`."""
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def at_once(
        self, count: int, method: str, path: str, json: object, headers: Mapping[str, str] | None = None
    ) -> list[httpx.Response]:
        """The same request `count` times at the same moment."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(
                *(self._client.request(method, path, json=json, headers=headers) for _ in range(count))
            )

        return self._runner.run(all_of_them())

    def race(self, paths: Sequence[str], headers: Mapping[str, str]) -> list[str]:
        """GET all of them at once, begun in this order; the paths in the order of their answers."""
        return [path for path, _ in self.race_as([(path, headers) for path in paths])]

    def race_as(self, requests: Sequence[tuple[str, Mapping[str, str]]]) -> list[tuple[str, httpx.Response]]:
        """GET all of these paths with these headers at once; paths and answers in the order of the answers."""
        answered: list[tuple[str, httpx.Response]] = []

        async def one(path: str, headers: Mapping[str, str]) -> None:
            answered.append((path, await self._client.request("GET", path, headers=headers)))

        async def all_of_them() -> None:
            await asyncio.gather(*(one(path, headers) for path, headers in requests))

        self._runner.run(all_of_them())
        return answered

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()
