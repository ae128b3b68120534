"""How tenants' commands find a cloud: as every OpenStack client does."""

from pathlib import Path

import pytest
import yaml

from muniment_cli.access import find_access
from muniment_cli.failure import BadInput

_AUTH = {
    "auth_url": "http://127.0.0.1:1/identity/",
    "username": "demo",
    "password": "p",
    "project_name": "demo",
    "user_domain_name": "Default",
    "project_domain_name": "Default",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this directory nor the home of whoever runs the tests has a clouds.yaml."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def _write(path: Path, **clouds: object) -> dict[str, str]:
    path.write_text(yaml.safe_dump({"clouds": clouds}))
    return {"OS_CLIENT_CONFIG_FILE": str(path), "MUNIMENT_DATA": "/nonexistent"}


def test_a_named_cloud(tmp_path: Path) -> None:
    """The file and the cloud that the environment names are used; the password is a secret."""
    environment = _write(tmp_path / "c.yaml", mine={"auth": _AUTH, "region_name": "R"})
    access = find_access(None, {**environment, "OS_CLOUD": "mine"})
    assert access.auth_url == "http://127.0.0.1:1/identity"
    assert access.project == {"name": "demo", "domain": {"name": "Default"}}
    assert access.region == "R"
    assert "p" not in repr(access.password)


def test_the_command_line_goes_first(tmp_path: Path) -> None:
    """--cloud wins over OS_CLOUD."""
    environment = _write(tmp_path / "c.yaml", one={"auth": {**_AUTH, "username": "x"}}, two={"auth": _AUTH})
    assert find_access("one", {**environment, "OS_CLOUD": "two"}).username == "x"


def test_variables_alone() -> None:
    """Without a cloud, OS_* variables are enough."""
    environment = {f"OS_{key.upper()}": value for key, value in _AUTH.items()}
    assert find_access(None, environment).username == "demo"


@pytest.mark.parametrize("cloud", [None, "muniment"])
def test_a_named_file_that_is_not_there(tmp_path: Path, cloud: str | None) -> None:
    """Nobody who named a file ends up in another installation."""
    _write(tmp_path / "clouds.yaml", muniment={"auth": _AUTH})
    with pytest.raises(BadInput, match=r"/none\.yaml, which OS_CLIENT_CONFIG_FILE names, cannot be read"):
        find_access(cloud, {"OS_CLIENT_CONFIG_FILE": f"{tmp_path}/none.yaml"})


def test_the_installation_of_this_machine(tmp_path: Path) -> None:
    """Without anything named, the clouds.yaml of the own data directory serves."""
    data = tmp_path / "data"
    data.mkdir()
    _write(data / "clouds.yaml", muniment={"auth": _AUTH})
    assert find_access(None, {"MUNIMENT_DATA": str(data)}).username == "demo"


@pytest.mark.parametrize(
    ("cloud", "named"),
    [
        ("none", "mine"),
        ("keys", "auth_type"),
        ("nameless", "no username"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, cloud: str, named: str) -> None:
    """A cloud that is not there, of another kind, or without a user is one clear line."""
    environment = _write(
        tmp_path / "c.yaml",
        mine={"auth": _AUTH},
        keys={"auth_type": "v3applicationcredential", "auth": {}},
        nameless={"auth": {k: v for k, v in _AUTH.items() if k != "username"}},
    )
    with pytest.raises(BadInput, match=named):
        find_access(cloud, environment)


def test_nothing_named() -> None:
    """Without any cloud, the line says where to get one."""
    with pytest.raises(BadInput, match="export line"):
        find_access(None, {"MUNIMENT_DATA": "/nonexistent"})
