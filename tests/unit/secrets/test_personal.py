"""Personal fields: sealed for one place, opened there, erased with their key."""

from uuid import UUID

import pytest

from muniment.fault import Fault
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault

STREAM = UUID(int=1)
CIPHER = PersonalCipher(Vault(KeyEncryptionKeys.generate()))
ROW = (1, CIPHER.new_key("project-1", 1))
KEYS = CIPHER.keys("project-1", [ROW])


@pytest.mark.parametrize("text", ["", "deeds", "Ünïcode ☃", "a.b.c", "\ud800", "x" * 100_000])
def test_any_text_comes_back(text: str) -> None:
    """Whatever was accepted as a text is opened as it was."""
    assert KEYS.open(KEYS.seal(text, STREAM, 1, "label"), STREAM, 1, "label") == text


def test_a_newer_key_seals_and_the_older_still_opens() -> None:
    """With two epochs the newest seals; both open."""
    newer = (2, CIPHER.new_key("project-1", 2))
    both, only_newer = CIPHER.keys("project-1", [ROW, newer]), CIPHER.keys("project-1", [newer])
    assert both.open(KEYS.seal("old", STREAM, 1, "label"), STREAM, 1, "label") == "old"
    assert only_newer.open(both.seal("new", STREAM, 1, "label"), STREAM, 1, "label") == "new"


def test_without_its_key_a_field_does_not_open() -> None:
    """No key at all, and a key made later, both give nothing."""
    sealed = KEYS.seal("deeds", STREAM, 1, "label")
    later = CIPHER.keys("project-1", [(1, CIPHER.new_key("project-1", 1))])
    assert CIPHER.keys("project-1", []).open(sealed, STREAM, 1, "label") is None
    assert later.open(sealed, STREAM, 1, "label") is None


def test_nothing_is_sealed_without_a_key() -> None:
    """Sealing for an erased project is a bug of the store, which makes a key first."""
    with pytest.raises(AssertionError):
        CIPHER.keys("project-1", []).seal("deeds", STREAM, 1, "label")


@pytest.mark.parametrize(
    "forged", ["", "deeds", "p1.x", "p1.x.y.z", "p2.0123456789abcdef.AAAA", "p1.key.no base64!"]
)
def test_what_is_not_sealed_is_a_fault(forged: str) -> None:
    """Other text in the place of a sealed field is refused, not shown."""
    with pytest.raises(Fault):
        KEYS.open(forged, STREAM, 1, "label")


def test_a_cut_field_is_a_fault() -> None:
    """A sealed field that lost its end does not open."""
    form, key_id, _ = KEYS.seal("deeds", STREAM, 1, "label").split(".")
    with pytest.raises(Fault, match="altered or moved"):
        KEYS.open(f"{form}.{key_id}.AAAA", STREAM, 1, "label")


def test_a_projects_key_is_no_other_projects() -> None:
    """A wrapped data key that was moved to another project does not open."""
    with pytest.raises(Fault, match="altered or moved"):
        CIPHER.keys("project-2", [ROW])
