"""The Keystone surface: what each request answers, and to whom."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.accounts import BLUE, CHEAP, OFFICE, RED, users_file
from tests.support.asgi import AsgiClient

from muniment.clock import ManualClock
from muniment.secret import Secret
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.auth.logins import Logins
from muniment_api.auth.users import UsersFile
from muniment_api.settings import ApiSettings

TOKENS = "/identity/v3/auth/tokens"


class Keystone:
    """A Keystone surface over the users for tests."""

    def __init__(self, folder: Path) -> None:
        self.users: UsersFile = users_file(folder)
        self.clock = ManualClock()
        identity = EmbeddedIdentity(self.users, self.clock, logins=Logins(self.users, self.clock, cost=CHEAP))
        self.http = AsgiClient(keystone_app(identity, ApiSettings()))

    def log_in(self, name: str, scope: object = None, **user: object) -> httpx.Response:
        """A log-in by password; `user` replaces parts of the user object."""
        claim = {"name": name, "password": f"{name}-secret", "domain": {"id": "default"}, **user}
        auth: dict[str, object] = {"identity": {"methods": ["password"], "password": {"user": claim}}}
        if scope is not None:
            auth["scope"] = scope
        return self.http.request("POST", TOKENS, json={"auth": auth})

    def token(self, name: str, scope: object = None) -> str:
        """A token's value."""
        answer = self.log_in(name, scope)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def trade(self, value: str, scope: object) -> httpx.Response:
        """A token for a token."""
        identity = {"methods": ["token"], "token": {"id": value}}
        return self.http.request("POST", TOKENS, json={"auth": {"identity": identity, "scope": scope}})

    def get(self, path: str, value: str, **headers: str) -> httpx.Response:
        """GET below /identity with a token."""
        return self.http.get(f"/identity{path}", X_Auth_Token=value, **headers)


@pytest.fixture
def keystone(tmp_path: Path) -> Iterator[Keystone]:
    """A fresh Keystone surface."""
    made = Keystone(tmp_path)
    with made.http:
        yield made


@pytest.mark.parametrize("slash", ["", "/"])
def test_discovery_needs_no_token_and_links_to_where_it_was_asked(keystone: Keystone, slash: str) -> None:
    """Both documents answer with and without a slash, and their link has the request's own host."""
    all_versions = keystone.http.get(f"/identity{slash}")
    version = keystone.http.get(f"/identity/v3{slash}")
    assert (all_versions.status_code, version.status_code) == (300, 200)
    assert all_versions.json()["versions"]["values"] == [version.json()["version"]]
    assert version.json()["version"]["links"][0]["href"] == "http://db.test:8779/identity/v3/"
    assert version.json()["version"]["status"] == "stable"


def test_scoped_token_has_all_that_clients_read(keystone: Keystone) -> None:
    """A log-in for a project answers 201 with user, project, roles and a catalogue of two services."""
    answer = keystone.log_in("alice", {"project": {"name": "red", "domain": {"name": "Default"}}})
    token = answer.json()["token"]
    assert answer.status_code == 201
    assert answer.headers["Vary"] == "X-Auth-Token"
    assert token["methods"] == ["password"]
    assert token["issued_at"] == "2026-01-01T00:00:00.000000Z"
    assert token["expires_at"] == "2026-01-01T01:00:00.000000Z"
    assert token["user"]["id"] == "u-alice"
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["project"] == {"id": "p-red", "name": "red", "domain": {"id": "default", "name": "Default"}}
    assert [role["name"] for role in token["roles"]] == ["member"]
    urls = {
        (service["type"], endpoint["interface"]): (endpoint["url"], endpoint["region"])
        for service in token["catalog"]
        for endpoint in service["endpoints"]
    }
    assert len(urls) == 6
    assert urls["identity", "public"] == ("http://db.test:8779/identity/v3", "RegionOne")
    assert urls["database", "public"] == ("http://db.test:8779/v1.0/p-red", "RegionOne")


def test_scope_decides_the_project(keystone: Keystone) -> None:
    """A project by id, no scope (the default project), and `unscoped` (none, so no catalogue either)."""
    by_id = keystone.log_in("alice", {"project": {"id": BLUE.id}}).json()["token"]
    default = keystone.log_in("alice").json()["token"]
    unscoped = keystone.log_in("alice", "unscoped").json()["token"]
    assert by_id["project"]["id"] == BLUE.id
    assert default["project"]["id"] == RED.id
    assert not {"project", "catalog", "roles"} & unscoped.keys()


@pytest.mark.parametrize(
    "domain", [{"id": "default"}, {"name": "Default"}, {"name": "default"}, {"name": "DEFAULT"}, None]
)
def test_default_domain_goes_by_many_names(keystone: Keystone, domain: object) -> None:
    """The domain may be named by id, by name in any case, or left out."""
    assert keystone.log_in("alice", domain=domain).status_code == 201


def test_refused_log_ins_tell_nothing(keystone: Keystone) -> None:
    """Wrong password, unknown user, foreign domain, foreign and unknown project, other scopes: one and the same 401."""
    refusals = [
        keystone.log_in("alice", password="wrong"),
        keystone.log_in("nobody"),
        keystone.log_in("alice", domain={"id": "other"}),
        keystone.log_in("alice", {"project": {"id": OFFICE.id}}),
        keystone.log_in("alice", {"project": {"id": "p-none"}}),
        keystone.log_in("alice", {"project": {"name": "none"}}),
        keystone.log_in("alice", {"project": {"name": "red", "domain": {"id": "other"}}}),
        keystone.log_in("alice", {"domain": {"id": "default"}}),
        keystone.log_in("alice", {"system": {"all": True}}),
    ]
    text = "The request you have made requires authentication."
    assert {answer.status_code for answer in refusals} == {401}
    assert {answer.content for answer in refusals} == {
        b'{"error":{"code":401,"title":"Unauthorized","message":"%s"}}' % text.encode()
    }
    assert refusals[0].headers["WWW-Authenticate"] == 'Keystone uri="http://db.test:8779/identity"'


def test_method_that_is_not_offered_is_401(keystone: Keystone) -> None:
    """Application credentials are not offered."""
    identity = {"methods": ["application_credential"], "application_credential": {"id": "x", "secret": "y"}}
    assert keystone.http.request("POST", TOKENS, json={"auth": {"identity": identity}}).status_code == 401


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "needs a JSON body"),
        (b"{", "not valid JSON"),
        (b"{}", "auth is missing"),
        (b'{"auth": {"identity": {"methods": []}}}', "auth.identity.methods"),
        (b'{"auth": {"identity": {"methods": ["password"]}}}', "required field `password`"),
        (b'{"auth": {"identity": {"methods": ["password", "token"]}}}', "one authentication method"),
        (
            b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}}',
            "auth.identity.password.user",
        ),
        (
            b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": 7, "password": "x"}}}}}',
            "auth.identity.password.user.name",
        ),
    ],
)
def test_malformed_log_in_is_400_with_the_place(keystone: Keystone, body: bytes, where: str) -> None:
    """What is not a log-in is refused with the place of the mistake, in Keystone's form."""
    answer = keystone.http.request("POST", TOKENS, content=body)
    assert answer.status_code == 400
    assert where in answer.json()["error"]["message"]


def test_long_names_passwords_and_bodies_are_refused_before_hashing(keystone: Keystone) -> None:
    """A name over 255 characters or a password over 1 kB is 400, a body over 16 kB is 413."""
    assert keystone.log_in("a" * 256).status_code == 400
    assert keystone.log_in("alice", password="x" * 1025).status_code == 400
    assert keystone.log_in("alice", password="x" * 20_000).status_code == 413


def test_eleventh_wrong_password_is_429(keystone: Keystone) -> None:
    """Guessing ends in 429 with the time to wait."""
    statuses = [keystone.log_in("alice", password="wrong").status_code for _ in range(10)]
    refused = keystone.log_in("alice", password="wrong")
    assert statuses == [401] * 10
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")


def test_token_is_traded_for_another_scope_but_not_for_more_time(keystone: Keystone) -> None:
    """An unscoped token becomes a scoped one that ends when the first does."""
    first = keystone.token("alice", "unscoped")
    keystone.clock.advance(600)
    answer = keystone.trade(first, {"project": {"id": BLUE.id}})
    token = answer.json()["token"]
    assert answer.status_code == 201
    assert token["methods"] == ["password", "token"]
    assert token["project"]["id"] == BLUE.id
    assert token["expires_at"] == "2026-01-01T01:00:00.000000Z"


def test_refused_trade_is_no_failed_password(keystone: Keystone) -> None:
    """Horizon asks for a domain scope at every log-in: however often, the password still works."""
    value = keystone.token("alice", "unscoped")
    statuses = {keystone.trade(value, {"domain": {"id": "default"}}).status_code for _ in range(30)}
    assert statuses == {401}
    assert keystone.trade("no token", {"project": {"id": RED.id}}).status_code == 401
    assert keystone.log_in("alice").status_code == 201


def test_projects_are_the_callers_own_and_for_admins_all(keystone: Keystone) -> None:
    """The list is cut to what the caller may see, found by name, and never refused."""
    alice, root = keystone.token("alice"), keystone.token("root")

    def names(value: str, query: str = "") -> list[str]:
        answer = keystone.get(f"/v3/projects{query}", value)
        assert answer.status_code == 200
        return [project["name"] for project in answer.json()["projects"]]

    assert names(alice) == ["red", "blue"]
    assert names(alice, "?name=blue") == ["blue"]
    assert names(alice, "?name=office") == []
    assert names(alice, "?domain_id=other") == []
    assert names(root) == ["red", "blue", "office"]


def test_project_by_name_unknown_or_foreign_is_404(keystone: Keystone) -> None:
    """Only an id of one's own is found; a name, an unknown and a foreign id are the same 404."""
    alice = keystone.token("alice")
    assert keystone.get(f"/v3/projects/{RED.id}", alice).json()["project"]["name"] == "red"
    for other in ("red", "p-none", OFFICE.id):
        assert keystone.get(f"/v3/projects/{other}", alice).status_code == 404
    assert keystone.get(f"/v3/projects/{RED.id}", keystone.token("root")).status_code == 200


def test_unscoped_token_lists_its_users_projects(keystone: Keystone) -> None:
    """Horizon chooses a project with an unscoped token, by either path; another user's are refused."""
    value = keystone.token("alice", "unscoped")
    by_user = keystone.get("/v3/users/u-alice/projects", value).json()["projects"]
    by_token = keystone.get("/v3/auth/projects", value).json()["projects"]
    assert [project["id"] for project in by_user] == [RED.id, BLUE.id]
    assert by_user == by_token
    assert keystone.get("/v3/users/u-root/projects", value).status_code == 403


def test_users_see_themselves_and_admins_see_all(keystone: Keystone) -> None:
    """A user is shown to itself by id; the list and other users are for admins."""
    alice, root = keystone.token("alice"), keystone.token("root")
    assert keystone.get("/v3/users/u-alice", alice).json()["user"]["name"] == "alice"
    assert keystone.get("/v3/users/alice", alice).status_code == 404
    assert keystone.get("/v3/users/u-rita", alice).status_code == 404
    assert keystone.get("/v3/users?name=alice", alice).status_code == 403
    assert keystone.get("/v3/users/u-rita", root).status_code == 200
    assert [user["id"] for user in keystone.get("/v3/users?name=rita", root).json()["users"]] == ["u-rita"]


def test_there_is_one_domain(keystone: Keystone) -> None:
    """The domain is found by its id and by its name."""
    alice = keystone.token("alice")
    assert keystone.get("/v3/domains/default", alice).json()["domain"]["name"] == "Default"
    assert keystone.get("/v3/domains/Default", alice).status_code == 404
    assert len(keystone.get("/v3/domains?name=Default", alice).json()["domains"]) == 1


def test_validation_answers_the_tokens_document(keystone: Keystone) -> None:
    """A token is validated by its own user and by an admin; unknown is 404; HEAD has the header and no body."""
    logged_in = keystone.log_in("alice")
    value = logged_in.headers["X-Subject-Token"]
    shown = keystone.get("/v3/auth/tokens", value, X_Subject_Token=value)
    assert (shown.status_code, shown.json()) == (200, logged_in.json())
    assert shown.headers["X-Subject-Token"] == value
    head = keystone.http.request("HEAD", TOKENS, headers={"X-Auth-Token": value, "X-Subject-Token": value})
    assert (head.status_code, head.content) == (200, b"")
    assert keystone.get("/v3/auth/tokens", value, X_Subject_Token="none").status_code == 404
    assert keystone.get("/v3/auth/tokens", keystone.token("root"), X_Subject_Token=value).status_code == 200
    assert keystone.get("/v3/auth/tokens", keystone.token("rita"), X_Subject_Token=value).status_code == 403


def test_revoked_token_is_void(keystone: Keystone) -> None:
    """A revoked token opens nothing any more; another of the same user does."""
    value, other = keystone.token("alice"), keystone.token("alice")
    headers = {"X-Auth-Token": value, "X-Subject-Token": value}
    assert keystone.http.request("DELETE", TOKENS, headers=headers).status_code == 204
    assert keystone.get("/v3/projects", value).status_code == 401
    assert (
        keystone.http.request("DELETE", TOKENS, headers={**headers, "X-Auth-Token": other}).status_code == 404
    )


def test_password_change_voids_tokens(keystone: Keystone) -> None:
    """Every token of a user ends with its password, those of others do not."""
    alice, rita = keystone.token("alice"), keystone.token("rita")
    keystone.users.set_password("alice", Secret("changed"), cost=CHEAP)
    assert keystone.get("/v3/projects", alice).status_code == 401
    assert keystone.get("/v3/projects", rita).status_code == 200
    assert keystone.log_in("alice").status_code == 401
    assert keystone.log_in("alice", password="changed").status_code == 201


def test_expired_token_is_401(keystone: Keystone) -> None:
    """After an hour a token is refused."""
    value = keystone.token("alice")
    keystone.clock.advance(3600)
    assert keystone.get("/v3/projects", value).status_code == 401


def test_unknown_paths_and_methods(keystone: Keystone) -> None:
    """Elsewhere it is 401 without a token and 404 with one; a wrong method is 405."""
    value = keystone.token("alice")
    assert keystone.http.get("/identity/v3/role_assignments").status_code == 401
    assert keystone.get("/v3/role_assignments", value).status_code == 404
    assert (
        keystone.http.request("PATCH", "/identity/v3/projects", headers={"X-Auth-Token": value}).status_code
        == 405
    )


def test_every_path_answers_with_a_slash_too(keystone: Keystone) -> None:
    """Both forms of a path are answered directly, without a redirect."""
    value = keystone.token("alice")
    assert keystone.get("/v3/projects/", value).status_code == 200
    assert keystone.http.request("POST", f"{TOKENS}/", json={}).status_code == 400


def test_host_that_is_none_is_refused(keystone: Keystone) -> None:
    """A Host header that would spoil links is 400; a configured endpoint takes its place."""
    assert keystone.http.get("/identity/v3", Host="evil.test/a?b").status_code == 400
