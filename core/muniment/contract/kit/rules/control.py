"""The control half: pure, deterministic, and what it lets pass is what the guest takes."""

from collections.abc import Callable

import pytest

from muniment.contract.errors import RejectedName
from muniment.contract.kit.subject import Subject
from muniment.contract.ops import Account, DatabaseSpec
from muniment.secret import Secret

FIELDS = {"name", "host", "password", "character_set", "collate"}
HOSTILE = (
    "", " ", "a" * 5000, "\0", "a\nb", "'; DROP TABLE x; --", '"', "\\", "`", "\udc80", "../..", "%", "ä" * 40, "😀",
)  # fmt: skip


def test_port(subject: Subject) -> None:
    """The standard port is one."""
    assert 0 < subject.control.port() < 65536


@pytest.mark.parametrize("memory_mib", [256, 512, 4096, 262_144])
def test_configuration(subject: Subject, memory_mib: int) -> None:
    """The configuration is plain files with text, the same each time, for every version and size."""
    for version in subject.datastore.versions:
        first = subject.control.base_config(version=version.number, memory_mib=memory_mib)
        second = subject.control.base_config(version=version.number, memory_mib=memory_mib)

        assert first == second
        assert all(name and "/" not in name and isinstance(text, str) for name, text in first.items())


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_only_refusals(subject: Subject, text: str) -> None:
    """Whatever a tenant writes is taken or refused by its field, never an accident."""
    checks: tuple[Callable[[], object], ...] = (
        lambda: subject.control.check_database(DatabaseSpec(name=text)),
        lambda: subject.control.check_database(DatabaseSpec(name="d", character_set=text, collate=text)),
        lambda: subject.control.check_account(Account(name=text)),
        lambda: subject.control.check_account(Account(name="u", host=text)),
        lambda: subject.control.check_password(Secret(text.encode(errors="surrogatepass"))),
    )
    refusals = [refused for check in checks if (refused := _refusal(check)) is not None]

    assert {refused.field for refused in refusals} <= FIELDS
    assert all(refused.message for refused in refusals)


def _refusal(check: Callable[[], object]) -> RejectedName | None:
    try:
        check()
    except RejectedName as refused:
        return refused
    return None


def test_normal_form(subject: Subject) -> None:
    """An account's normal form is its own normal form, and any host is one form."""
    plain = subject.control.check_account(Account(name="kit"))

    assert subject.control.check_account(plain) == plain
    assert subject.control.check_account(Account(name="kit", host="%")) == plain


def test_own_versions_fit(subject: Subject) -> None:
    """A backup can be restored by the very version that made it."""
    for version in subject.datastore.versions:
        assert subject.control.backup_fits(backup_version=version.number, target_version=version.number)
