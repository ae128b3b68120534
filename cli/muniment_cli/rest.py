"""A thin client of the REST API, for tenants' commands: log in, call, and turn refusals into one line."""

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

from muniment_cli.access import Access, find_access
from muniment_cli.failure import BAD_INPUT, FAILED, BadInput, Failure

__all__ = ["Rest", "log_in", "logged_in"]

_TIMEOUT_S = 30.0
_PAGE = 100
_IDS_TOLD = 10
_BEGINNING = re.compile(r"[0-9a-f-]{4,35}", re.IGNORECASE)
"""Of an id; so few characters are enough if no other begins so."""

Body = Mapping[str, Any]
"""A decoded JSON object."""


class Rest:
    """Calls the database service of one project."""

    def __init__(self, http: httpx.Client, endpoint: str, token: str) -> None:
        """Call `endpoint` (which ends with the project) with a token."""
        self._http = http
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"X-Auth-Token": token}

    def get(self, path: str, **query: object) -> Body:
        """GET below the project; raises Failure with what the service said."""
        return self._call("GET", path, query=query)

    def post(self, path: str, body: Body) -> Body:
        """POST a JSON body; raises as `get`."""
        return self._call("POST", path, body=body)

    def put(self, path: str, body: Body) -> Body:
        """PUT a JSON body; raises as `get`."""
        return self._call("PUT", path, body=body)

    def delete(self, path: str) -> None:
        """DELETE; raises as `get`."""
        self._call("DELETE", path)

    def all(self, collection: str, **query: object) -> Iterator[Body]:
        """Every item of a collection, page by page."""
        marker: str | None = None
        while True:
            found = self.get(f"/{collection}", limit=_PAGE, marker=marker, **query)[collection]
            yield from found
            if len(found) < _PAGE:
                return
            marker = found[-1]["id"]

    def listed(self, path: str, collection: str) -> list[Body]:
        """Every item of a collection of an instance."""
        items: list[Body] = []
        marker: str | None = None
        while True:
            page = self.get(path, limit=_PAGE, marker=marker)[collection]
            items += page
            if len(page) < _PAGE:
                return items
            marker = _marker(page[-1])

    def called(self, collection: str, name_or_id: str) -> list[Body]:
        """The item with this id, or else all with this name, or else those whose ids begin so, in the service's order."""
        items = list(self.all(collection))
        by_id = [item for item in items if item["id"] == name_or_id]
        by_name = [item for item in items if item["name"] == name_or_id]
        return by_id or by_name or [item for item in items if _begins(item["id"], name_or_id)]

    def operation_id(self, text: str) -> str:
        """The id of an operation of the project that begins so; whatever is no beginning is for the service to judge.

        Raises:
            BadInput: none begins so, or several do.
        """
        if _is_id(text) or not _BEGINNING.fullmatch(text):
            return text
        found = [str(item["id"]) for item in self.all("operations") if _begins(item["id"], text)]
        if len(found) != 1:
            told = "no operation has" if not found else f"{len(found)} operations have"
            raise BadInput(f"{told} an id that begins with {text}; see `muniment operation list`")
        return found[0]

    def find(self, collection: str, name_or_id: str) -> Body:
        """The item with this id, or the only one with this name.

        Raises:
            BadInput: there is none, or several have that name.
        """
        found = self.called(collection, name_or_id)
        if not found and _is_id(name_or_id):  # an administrator may look at those of other projects
            return self._shown(collection, name_or_id)
        if not found:
            raise BadInput(f"no {collection.removesuffix('s')} is named {name_or_id} or has that id")
        if len(found) > 1:
            newest = [self._shown(collection, item["id"]) for item in found[:_IDS_TOLD]]
            told = ", ".join(f"{item['id']} (created {item['created']})" for item in newest)
            more = f" and {len(found) - _IDS_TOLD} older" if len(found) > _IDS_TOLD else ""
            raise BadInput(
                f"{len(found)} {collection} go by {name_or_id}; use the whole id of one: {told}{more}"
            )
        return self._shown(collection, found[0]["id"])

    def _shown(self, collection: str, id_: str) -> Body:
        """In full: lists of instances leave out when each was created."""
        shown: Body = self.get(f"/{collection}/{quote(id_, safe='')}")[collection.removesuffix("s")]
        return shown

    def _call(
        self, method: str, path: str, *, query: Mapping[str, object] | None = None, body: Body | None = None
    ) -> Body:
        answer = _sent(
            self._http,
            method,
            self._endpoint + path,
            headers=self._headers,
            params={key: str(value) for key, value in (query or {}).items() if value is not None},
            **({} if body is None else {"json": body}),
        )
        if answer.is_success:
            return _decoded(answer.content)
        raise _refusal(answer)


@contextmanager
def logged_in(cloud: str | None) -> Iterator[Rest]:
    """A client of the cloud that is named on the command line or in the environment.

    Raises:
        BadInput: no cloud is named. Failure: it is not reached, or refuses the log-in.
    """
    access = find_access(cloud, os.environ)
    with httpx.Client(timeout=_TIMEOUT_S, verify=_verify(access)) as http:
        yield log_in(http, access)


def log_in(http: httpx.Client, access: Access) -> Rest:
    """Get a token and find the database service in the catalogue; raises Failure."""
    identity = access.auth_url if access.auth_url.endswith("/v3") else f"{access.auth_url}/v3"
    user = {"name": access.username, "domain": access.user_domain, "password": access.password.reveal_text()}
    request = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": access.project},
        }
    }
    answer = _sent(http, "POST", f"{identity}/auth/tokens", json=request)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise BadInput(
            f"{access.username} is not let in at {access.auth_url}: the password in clouds.yaml or OS_PASSWORD is not the "
            "account's; the operator sets a new one with `muniment passwd`"
        )
    if not answer.is_success:
        raise _refusal(answer)
    catalogue = answer.json()["token"].get("catalog", [])
    for service in catalogue:
        for endpoint in service["endpoints"] if service["type"] == "database" else []:
            if endpoint["interface"] == access.interface and access.region in (None, endpoint.get("region")):
                return Rest(http, endpoint["url"], answer.headers["X-Subject-Token"])
    where = f" in region {access.region}" if access.region else ""
    raise Failure(f"{access.auth_url} offers no database service{where}")


def _marker(item: Body) -> str:
    """Where the page after this item begins: databases go by name, accounts by name and host."""
    return f"{item['name']}@{item['host']}" if item.get("host") else str(item["name"])


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _begins(id_: str, text: str) -> bool:
    """A word that could as well be a name is none of an id."""
    return _BEGINNING.fullmatch(text) is not None and id_.startswith(text.lower())


def _sent(http: httpx.Client, method: str, url: str, **how: Any) -> httpx.Response:
    try:
        return http.request(method, url, **how)
    except httpx.HTTPError as error:
        raise Failure(
            f"{httpx.URL(url).netloc.decode()} does not answer ({error}); does `muniment up` run?"
        ) from None
    except httpx.InvalidURL as error:
        raise BadInput(f"{url}: {error}") from None


def _decoded(content: bytes) -> Body:
    """An accepted request may be answered with nothing."""
    body: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any]) if content.strip() else {}
    return body


def _refusal(answer: httpx.Response) -> Failure:
    """What the service said, in Trove's or Keystone's form: one key with a message inside."""
    code = BAD_INPUT if answer.is_client_error else FAILED
    try:
        body = msgspec.json.decode(answer.content, type=dict[str, dict[str, Any]])
        message = str(next(iter(body.values()))["message"])
    except (msgspec.MsgspecError, StopIteration, KeyError):
        message = f"the service answered {answer.status_code}"
    return Failure(message, code=code)


def _verify(access: Access) -> ssl.SSLContext | bool:
    if access.verify and access.ca_file is not None:
        try:
            return ssl.create_default_context(cafile=access.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadInput(f"{access.ca_file}: {error}") from error
    return access.verify
