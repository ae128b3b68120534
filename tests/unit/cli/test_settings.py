"""The settings file: unknown keys, wrong values, overrides; each error names the key."""

from pathlib import Path

import pytest

from muniment.fault import Fault
from muniment_cli.data_directory import DataDirectory
from muniment_cli.failure import BadInput
from muniment_cli.roles.first_start import change_api_address
from muniment_cli.settings import Settings, first_settings_text, load_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file as a first start writes it."""
    path = tmp_path / "settings.toml"
    path.write_text(first_settings_text(api="127.0.0.1:1", gateway="127.0.0.1:2", backups=None))
    return path


def test_the_first_file_says_what_it_was_given(file: Path) -> None:
    """What a first start writes is read back; the rest are defaults."""
    settings = load_settings(file, {})
    assert (settings.listen.api, settings.listen.gateway) == ("127.0.0.1:1", "127.0.0.1:2")
    assert settings.local == Settings().local


def test_a_strange_path_survives(tmp_path: Path) -> None:
    """A directory for backups with quotes, backslashes and letters of any script is read back as it is."""
    path = tmp_path / "settings.toml"
    place = '/mnt/a "b" \\c/дом'
    path.write_text(first_settings_text(api="127.0.0.1:1", gateway="127.0.0.1:2", backups=place))
    assert load_settings(path, {}).backups.directory == place


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ("[listen2]\n", "listen2"),
        ("[local]\nflavours = []\n", "local.flavours"),
        ("[api.page_sizes]\ninstance = 5\n", "api.page_sizes.instance"),
        ("[local]\nengine_uid_first = 'many'\n", "local.engine_uid_first"),
        ("[local]\nengine_uid_first = 70000\nengine_uid_last = 60000\n", "engine_uid_last is below"),
        ("[[local.flavors]]\nid='1'\nname='a'\nram_mib=256\n[[local.flavors]]\nid='1'\nname='b'\nram_mib=256\n", "same id"),
        ("[agent]\npython = 'relative'\n", "agent.python"),
        ("[agent\n", "not TOML"),
    ],
)  # fmt: skip
def test_an_error_names_the_key(file: Path, added: str, named: str) -> None:
    """An unknown key, a wrong value and bad TOML are one line that names the place."""
    file.write_text(file.read_text() + added)
    with pytest.raises(Fault) as caught:
        load_settings(file, {})
    assert named in caught.value.message
    assert "\n" not in caught.value.message
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[listen]\napi = 'nowhere'\n", "listen.api: must be HOST:PORT, such as 127.0.0.1:8779"),
        ("[listen]\napi = 7\n", "listen.api: must be text, not a whole number"),
        ("listen = 7\n", "listen: must be a section, not a whole number"),
        ("[agent]\npython = 'r'\n", "agent.python: must be a whole path that begins with /, such as /mnt/disk2"),
        ("[api]\npublic_endpoint = 'h'\n", "api.public_endpoint: must be http:// or https:// with a host"),
        ("[api]\nallow_plain_http = 'no way'\n", "api.allow_plain_http: must be true or false, not text"),
        ("[local]\nengine_uid_first = -3\n", "local.engine_uid_first: must be a whole number of 1000 or more"),
        ("[[local.flavors]]\nid='1'\nname='a'\n", "local.flavors[0]: the key ram_mib is missing"),
        ("[[local.flavors]]\nid=''\nname='a'\n", "local.flavors[0].id: must be text of at least 1 characters"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_words(tmp_path: Path, content: str, said: str) -> None:
    """What a value must be is said without a regular expression or the types of a program."""
    path = tmp_path / "settings.toml"
    path.write_text(content)
    with pytest.raises(Fault) as caught:
        load_settings(path, {})
    assert said in caught.value.message
    assert "Expected" not in caught.value.message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """Settings that are not there are named, not replaced by defaults."""
    with pytest.raises(Fault, match=r"nothing\.toml"):
        load_settings(tmp_path / "nothing.toml", {})


def test_the_environment_overrides(file: Path) -> None:
    """Variables override keys of any depth, as text, number and truth value."""
    settings = load_settings(
        file,
        {
            "MUNIMENT_LISTEN_API": "127.0.0.1:9",
            "MUNIMENT_LOCAL_ENGINE_UID_FIRST": "60800",
            "MUNIMENT_API_ALLOW_PLAIN_HTTP": "true",
            "MUNIMENT_API_PAGE_SIZES_INSTANCES": "7",
            "MUNIMENT_GATEWAY_UPLINK_RATE": "2.5",
            "MUNIMENT_DATA": "/elsewhere",
            "OTHER": "1",
        },
    )
    assert settings.listen.api == "127.0.0.1:9"
    assert settings.local.engine_uid_first == 60_800
    assert settings.api.allow_plain_http
    assert settings.api.page_sizes.instances == 7
    assert settings.gateway.uplink_rate == 2.5


@pytest.mark.parametrize(
    ("name", "value"), [("MUNIMENT_LISTEN_APY", "127.0.0.1:9"), ("MUNIMENT_LISTEN_API", "nowhere")]
)
def test_a_wrong_variable_is_named(file: Path, name: str, value: str) -> None:
    """A variable that overrides nothing, or with a value that does not fit, is an error that names it."""
    with pytest.raises(Fault, match=name):
        load_settings(file, {name: value})


def test_another_api_address_is_kept_in_its_line(tmp_path: Path) -> None:
    """Changing the address changes that value only, and remarks stay."""
    data = DataDirectory(tmp_path)
    text = first_settings_text(api="127.0.0.1:1", gateway="127.0.0.1:2", backups=None)
    data.settings_file.write_text(text)
    change_api_address(data, "127.0.0.1:3")
    assert data.settings_file.read_text() == text.replace('api = "127.0.0.1:1"', 'api = "127.0.0.1:3"')


def test_a_rearranged_file_is_not_guessed_at(tmp_path: Path) -> None:
    """Where the line is not found, nothing is changed and the person is told to."""
    data = DataDirectory(tmp_path)
    data.settings_file.write_text('listen = { api = "127.0.0.1:1" }\n')
    with pytest.raises(BadInput, match="write it there"):
        change_api_address(data, "127.0.0.1:3")


def test_variables_that_only_make_sense_together(file: Path) -> None:
    """A pair of keys that must be given together may come from the environment; half of it is an error."""
    pair = {"MUNIMENT_LISTEN_CERTIFICATE": "/c.pem", "MUNIMENT_LISTEN_PRIVATE_KEY": "/k.pem"}
    assert load_settings(file, pair).listen.private_key == "/k.pem"
    with pytest.raises(Fault, match=r"MUNIMENT_LISTEN_CERTIFICATE.*together"):
        load_settings(file, {"MUNIMENT_LISTEN_CERTIFICATE": "/c.pem"})
