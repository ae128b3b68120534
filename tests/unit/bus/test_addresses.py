"""The file of gateway addresses."""

import os
from pathlib import Path

import pytest

from muniment.bus.transports.addresses import AddressFile
from muniment.fault import Fault


def file_with(directory: Path, text: str) -> Path:
    """A file with this text."""
    path = directory / "gateway"
    path.write_text(text)
    return path


def test_addresses(tmp_path: Path) -> None:
    """One a line; remarks, empty lines and a slash at the end do not count."""
    path = file_with(tmp_path, "# gateways\n\n https://db.example.org:8778/ \nhttp://127.0.0.1:8778\n")
    assert list(AddressFile(path).current()) == ["https://db.example.org:8778", "http://127.0.0.1:8778"]


def test_changed(tmp_path: Path) -> None:
    """A changed file is read anew, also one of the same length that replaced it."""
    path = file_with(tmp_path, "http://127.0.0.1:8001")
    addresses = AddressFile(path)
    addresses.current()
    other = tmp_path / "new"
    other.write_text("http://127.0.0.1:8002")
    os.replace(other, path)
    assert list(addresses.current()) == ["http://127.0.0.1:8002"]


@pytest.mark.parametrize(
    "line",
    [
        "http://db.example.org",
        "http://10.0.0.1:8778",
        "ftp://127.0.0.1",
        "127.0.0.1:8778",
        "https://",
        "http://",
        "https://[::1",
        "# none",
        "",
    ],
)
def test_refused(tmp_path: Path, line: str) -> None:
    """Plain HTTP past this machine, other schemes and no address at all are refused."""
    with pytest.raises(Fault, match="gateway"):
        AddressFile(file_with(tmp_path, line)).current()


@pytest.mark.parametrize(
    "line", ["http://127.0.0.9:1", "http://[::1]:1", "http://localhost:1", "https://10.0.0.1"]
)
def test_taken(tmp_path: Path, line: str) -> None:
    """HTTPS anywhere, plain HTTP on loopback."""
    assert list(AddressFile(file_with(tmp_path, line)).current()) == [line]


def test_no_file(tmp_path: Path) -> None:
    """A missing or unreadable file is a fault, not a traceback."""
    with pytest.raises(Fault, match="cannot be read"):
        AddressFile(tmp_path / "none").current()
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Fault, match="cannot be read"):
        AddressFile(path).current()
