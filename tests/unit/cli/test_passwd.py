"""`muniment passwd --generate`: whoever draws a password can log in with it."""

from pathlib import Path

import pytest

from muniment.fault import Fault
from muniment_api.auth.passwords import Cost
from muniment_api.auth.users import UsersFile, first_users
from muniment_cli.commands.passwd import passwd
from muniment_cli.data_directory import VERSION, DataDirectory


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """A directory with two accounts and no clouds.yaml."""
    made = DataDirectory(tmp_path)
    users, _ = first_users(cost=Cost(n=2, r=1, p=1))
    UsersFile.create(made.users_file, users)
    made.version_file.write_text(f"{VERSION}\n")
    return made


def test_without_clouds_yaml_it_is_printed(data: DataDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else would ever show it."""
    passwd("demo", generate=True, data=data.root)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("password of demo: ")
    assert told[0].endswith(" (shown only now)")
    assert told[1] == f"the password of demo is set; {data.clouds_file} is not there to take it"


def test_beside_a_damaged_one_too(data: DataDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    """The password is set by then: the error comes after it."""
    data.clouds_file.write_text("{")
    with pytest.raises(Fault, match="is not a clouds"):
        passwd("demo", generate=True, data=data.root)
    assert "password of demo: " in capsys.readouterr().out
