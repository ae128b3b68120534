"""clouds.yaml: what is written first, and that later changes leave the rest alone."""

import stat
from pathlib import Path

import pytest
import yaml

from muniment.fault import Fault
from muniment.secret import Secret
from muniment_cli.clouds_file import CloudsFile


@pytest.fixture
def clouds(tmp_path: Path) -> CloudsFile:
    """A file as a first start writes it."""
    file = CloudsFile(tmp_path / "clouds.yaml")
    file.create("http://127.0.0.1:1", "RegionOne", {"demo": Secret("d"), "admin": Secret("a")}, None)
    return file


def _auth(file: CloudsFile, cloud: str) -> dict[str, str]:
    auth: dict[str, str] = yaml.safe_load(file.path.read_text())["clouds"][cloud]["auth"]
    return auth


def test_two_clouds_of_mode_0600(clouds: CloudsFile) -> None:
    """A tenant's and an administrator's cloud, readable by their owner alone."""
    assert stat.S_IMODE(clouds.path.stat().st_mode) == 0o600
    assert _auth(clouds, "muniment")["username"] == "demo"
    assert _auth(clouds, "muniment-admin")["username"] == "admin"


def test_another_address_reaches_both(clouds: CloudsFile) -> None:
    """A moved API is written into both clouds; the same address again changes nothing."""
    assert clouds.point_to("http://127.0.0.1:2")
    assert {_auth(clouds, cloud)["auth_url"] for cloud in ("muniment", "muniment-admin")} == {
        "http://127.0.0.1:2/identity"
    }
    assert not clouds.point_to("http://127.0.0.1:2")


def test_a_new_password_reaches_its_account(clouds: CloudsFile) -> None:
    """Only the cloud of that account changes."""
    assert clouds.set_password("demo", Secret("new"))
    assert (_auth(clouds, "muniment")["password"], _auth(clouds, "muniment-admin")["password"]) == (
        "new",
        "a",
    )
    assert not clouds.set_password("somebody", Secret("new"))


def test_what_people_added_stays(clouds: CloudsFile) -> None:
    """Another cloud in the file survives a change of ours."""
    content = yaml.safe_load(clouds.path.read_text())
    content["clouds"]["other"] = {"auth": {"auth_url": "https://elsewhere"}}
    clouds.path.write_text(yaml.safe_dump(content))
    clouds.point_to("http://127.0.0.1:2")
    assert _auth(clouds, "other") == {"auth_url": "https://elsewhere"}


def test_a_removed_file_stays_away(tmp_path: Path) -> None:
    """Whoever deleted the file does not get it back without the passwords."""
    file = CloudsFile(tmp_path / "clouds.yaml")
    assert not file.point_to("http://127.0.0.1:2")
    assert not file.path.exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """A file that is not YAML is an error with its path."""
    path = tmp_path / "clouds.yaml"
    path.write_text("{")
    with pytest.raises(Fault, match=r"clouds\.yaml"):
        CloudsFile(path).point_to("http://127.0.0.1:2")
