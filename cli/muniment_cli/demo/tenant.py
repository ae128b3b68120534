"""The demo's tenant: somebody with a `clouds.yaml`, who knows the REST API and nothing else."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from muniment.fault import Fault

__all__ = ["Tenant"]

_POLL_S = 0.2

Json = Mapping[str, Any]


class Tenant:
    """Logs in with a password and talks to the database service that the catalogue names."""

    def __init__(self, clouds_yaml: Path, cloud: str) -> None:
        """Use one of the clouds in the file."""
        entry = yaml.safe_load(clouds_yaml.read_text())["clouds"][cloud]["auth"]
        self._auth = entry
        self._client = httpx.Client(timeout=30)
        self._base = ""
        self.log_in()

    def log_in(self) -> None:
        """Get a token and the address of the service."""
        domain = {"name": self._auth["user_domain_name"]}
        user = {"name": self._auth["username"], "password": self._auth["password"], "domain": domain}
        scope = {"project": {"name": self._auth["project_name"], "domain": domain}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        url = self._auth["auth_url"].rstrip("/").removesuffix("/v3")
        answer = self._client.post(f"{url}/v3/auth/tokens", json=body)
        answer.raise_for_status()
        self._client.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        catalog = answer.json()["token"]["catalog"]
        database = next(service for service in catalog if service["type"] == "database")
        self._base = next(e["url"] for e in database["endpoints"] if e["interface"] == "public")

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def get(self, path: str, **query: str) -> Json:
        """A GET; the answer's JSON."""
        answer = self._checked(self._client.get(f"{self._base}{path}", params=query))
        found: Json = answer.json()
        return found

    def post(self, path: str, body: Json) -> Json:
        """A POST; the answer's JSON, empty for an empty one."""
        answer = self._checked(self._client.post(f"{self._base}{path}", json=body))
        return answer.json() if answer.content else {}

    def delete(self, path: str) -> None:
        """A DELETE."""
        self._checked(self._client.delete(f"{self._base}{path}"))

    def exists(self, path: str) -> bool:
        """Whether a GET finds it."""
        answer = self._client.get(f"{self._base}{path}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        self._checked(answer)
        return True

    def wait_for(
        self, what: str, path: str, key: str, wanted: str, live: Callable[[str], None], limit_s: float = 90
    ) -> Json:
        """Poll a resource until its `status` is the wanted one; what is going on is shown meanwhile."""
        ends = time.monotonic() + limit_s
        while True:
            found: Json = self.get(path)[key]
            if found["status"] == wanted:
                return found
            if found["status"] in ("ERROR", "FAILED"):
                raise Fault("demo", f"{what} is {found['status']}: {found.get('fault')}", retryable=False)
            if time.monotonic() > ends:
                raise Fault("demo", f"{what} was not {wanted} after {limit_s:.0f} s but {found['status']}")
            live(self.current_step(key, found["id"]))
            time.sleep(_POLL_S)

    def wait_gone(self, what: str, path: str, limit_s: float = 90) -> None:
        """Poll until a GET says 404."""
        ends = time.monotonic() + limit_s
        while self.exists(path):
            if time.monotonic() > ends:
                raise Fault("demo", f"{what} was still there after {limit_s:.0f} s")
            time.sleep(_POLL_S)

    def current_step(self, kind: str, subject_id: str) -> str:
        """The steps that are going on for a subject: an `instance` or a `backup`."""
        query = {f"{kind}_id": subject_id, "state": "running"}
        running = self.get("/operations", **query)["operations"]
        steps = [s["name"] for operation in running for s in operation["steps"] if s["status"] == "running"]
        return ", ".join(step.replace("_", " ") for step in steps) or "waiting"

    def connect(
        self, instance: Json, database: str, user: str, password: str
    ) -> psycopg.Connection[tuple[object, ...]]:
        """A connection to an instance over the PostgreSQL protocol, committing each statement."""
        endpoint = next(e for e in instance["endpoints"] if e["type"] == "client")
        return psycopg.connect(
            host=endpoint["host"], port=endpoint["port"], dbname=database, user=user, password=password,
            autocommit=True, connect_timeout=10,
        )  # fmt: skip

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise Fault(
                "demo",
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}",
            )
        return answer
