"""The key file: made once, read strictly, refused when it is weak or open to others."""

import base64
import errno
import os
from pathlib import Path

import pytest

from muniment.fault import Fault
from muniment.secret import Secret
from muniment.secrets.keys import KeyEncryptionKeys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key file is made."""
    return tmp_path / "keys"


def _write(path: Path, *lines: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    path.chmod(mode)
    return path


def _line() -> bytes:
    return base64.b64encode(os.urandom(32))


def test_a_new_file_is_read_back(path: Path) -> None:
    """A made key file is 0600 and gives the same current key every time it is read."""
    made = KeyEncryptionKeys.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert KeyEncryptionKeys.read(path).current_id == made.current_id


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    """Making keys where there are some is refused and leaves them."""
    KeyEncryptionKeys.create(path)
    before = path.read_bytes()
    with pytest.raises(Fault, match=str(path)):
        KeyEncryptionKeys.create(path)
    assert path.read_bytes() == before


def test_the_last_line_is_current_and_all_open(path: Path) -> None:
    """Older keys stay for what they wrapped; remarks and empty lines are skipped."""
    old, new = _line(), _line()
    keys = KeyEncryptionKeys.read(_write(path, b"# made in spring", old, b"", new))
    only_new = KeyEncryptionKeys([Secret(base64.b64decode(new))])
    assert keys.current_id == only_new.current_id
    assert keys.key(keys.current_id).reveal() == base64.b64decode(new)


def test_an_unknown_key_is_a_fault_that_names_its_id(path: Path) -> None:
    """What was wrapped under a key that is not in the file cannot be opened, and the message says which key."""
    keys = KeyEncryptionKeys.create(path)
    with pytest.raises(Fault, match="abcdabcdabcdabcd"):
        keys.key(bytes.fromhex("abcd" * 4))


@pytest.mark.parametrize(
    ("line", "said"),
    [(b"", "no key in it; put your copy back"), (base64.b64encode(b"a" * 32), "a sample value")],
)
def test_a_file_with_no_good_key_is_named(path: Path, line: bytes, said: str) -> None:
    """An installation has several files that may be damaged."""
    with pytest.raises(Fault, match=f"{path}: .*{said}"):
        KeyEncryptionKeys.read(_write(path, line))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700])
def test_a_file_that_lets_others_in_is_refused(path: Path, mode: int) -> None:
    """Only 0600 and 0400 are accepted, and the message says what to do."""
    with pytest.raises(Fault, match="chmod 0600"):
        KeyEncryptionKeys.read(_write(path, _line(), mode=mode))


def test_a_read_only_file_is_accepted(path: Path) -> None:
    """0400 is as good as 0600."""
    assert KeyEncryptionKeys.read(_write(path, _line(), mode=0o400)).current_id


def test_a_missing_file_is_refused(path: Path) -> None:
    """There is no default key."""
    with pytest.raises(Fault, match=str(path)):
        KeyEncryptionKeys.read(path)


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    """The file itself is read, not what somebody else points it to."""
    path.symlink_to(_write(tmp_path / "elsewhere", _line()))
    with pytest.raises(Fault):
        KeyEncryptionKeys.read(path)


def test_something_that_is_no_file_is_refused(path: Path) -> None:
    """A pipe does not hang the start."""
    os.mkfifo(path, 0o600)
    with pytest.raises(Fault, match="not a plain file"):
        KeyEncryptionKeys.read(path)


WEAK = {
    "empty file": (),
    "zeros": (base64.b64encode(bytes(32)),),
    "one byte": (base64.b64encode(b"\xa5" * 32),),
    "counting": (base64.b64encode(bytes(range(32))),),
    "counting by sevens": (base64.b64encode(bytes((7 * n) % 256 for n in range(32))),),
    "text": (base64.b64encode(b"0123456789abcdef0123456789ABCDEF"),),
    "a sentence": (base64.b64encode(b"change me before production use!"),),
    "a pattern": (base64.b64encode(bytes.fromhex("deadbeef") * 8),),
    "too short": (base64.b64encode(os.urandom(16)),),
    "too long": (base64.b64encode(os.urandom(64)),),
    "not base64": (b"this is no key at all",),
    "weak beside good": (base64.b64encode(bytes(32)), _line()),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_key_is_refused(path: Path, name: str) -> None:
    """Samples, patterns, texts and wrong lengths are refused, and no part of the line is shown."""
    _write(path, *WEAK[name])
    with pytest.raises(Fault) as fault:
        KeyEncryptionKeys.read(path)
    assert not fault.value.retryable
    assert all(line.decode()[:8] not in str(fault.value) for line in WEAK[name])


def test_a_full_disk_leaves_no_half_key(path: Path) -> None:
    """A key that could not be written whole is not there: half of one would stand in the way of the next start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _fail)
        with pytest.raises(Fault, match="No space left"):
            KeyEncryptionKeys.create(path)
    assert list(path.parent.iterdir()) == []


def _fail(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
