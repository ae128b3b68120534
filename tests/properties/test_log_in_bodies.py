"""Whatever arrives as a log-in, the answer is one of five."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.accounts import CHEAP, users_file
from tests.support.asgi import AsgiClient

from muniment.clock import SystemClock
from muniment_api.auth.embedded import EmbeddedIdentity
from muniment_api.auth.keystone_v3 import keystone_app
from muniment_api.auth.logins import Logins
from muniment_api.settings import ApiSettings

ANSWERS = {201, 400, 401, 413, 429}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


def _mostly(value: object) -> st.SearchStrategy[object]:
    """What belongs here, or now and then something else."""
    return st.one_of(st.just(value), st.just(value), st.just(value), anything)


def _some(fields: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[object]:
    """An object with some of these fields, or something else."""
    return st.one_of(st.fixed_dictionaries({}, optional=fields), st.fixed_dictionaries(fields), anything)


domains = _some({"id": _mostly("default"), "name": _mostly("Default")})
claims = _some(
    {
        "name": _mostly("alice"),
        "id": _mostly("u-alice"),
        "password": _mostly("alice-secret"),
        "domain": domains,
    }
)
scopes = st.just("unscoped") | _some(
    {"project": _some({"id": _mostly("p-red"), "name": _mostly("red"), "domain": domains}), "domain": domains}
)
methods = st.lists(st.sampled_from(["password", "token", "saml2"]), max_size=3) | anything
proofs = _some(
    {"methods": methods, "password": _some({"user": claims}), "token": _some({"id": _mostly("none")})}
)
log_ins = _some({"auth": _some({"identity": proofs, "scope": scopes})})


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiClient]:
    """One Keystone surface for all examples."""
    folder: Path = tmp_path_factory.mktemp("users")
    users, clock = users_file(folder), SystemClock()
    identity = EmbeddedIdentity(users, clock, logins=Logins(users, clock, cost=CHEAP))
    with AsgiClient(keystone_app(identity, ApiSettings())) as made:
        yield made


def _answer(client: AsgiClient, body: bytes) -> None:
    answer = client.request("POST", "/identity/v3/auth/tokens", content=body)
    assert answer.status_code in ANSWERS, answer.text
    assert (answer.status_code == 201) == ("X-Subject-Token" in answer.headers)
    assert ("token" if answer.status_code == 201 else "error") in answer.json()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=log_ins)
def test_any_json_gets_one_of_five_answers(client: AsgiClient, body: object) -> None:
    """A log-in with any part missing, doubled, of another type or odd is answered, never an error of ours."""
    _answer(client, msgspec.json.encode(body))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(body=b"[" * 16_000)
@example(body=b'{"auth":' * 1_000)
@example(body=b'"\xff"')
@example(body=b'"\\ud800"')
@example(body=b"1e999")
@example(body=b"x" * 17_000)
@given(body=st.binary(max_size=200))
def test_any_bytes_get_one_of_five_answers(client: AsgiClient, body: bytes) -> None:
    """Bytes that are no JSON, nested without end, or too many are refused."""
    _answer(client, body)
