"""Character sets and collations of databases; pure, used by both halves.

Only the locales that are built into the server are offered: those of the operating system (and of ICU) differ between
machines and change under an index when it is updated, and a backup would be bound to machines that have them.
"""

from dataclasses import dataclass

from muniment.contract.errors import RejectedName
from muniment.contract.ops import DatabaseSpec

__all__ = ["CLUSTER", "ENCODINGS", "CLUSTER_OPTIONS", "PROVIDERS", "Locale", "locale_of"]

ENCODINGS = frozenset({
    "EUC_CN", "EUC_JIS_2004", "EUC_JP", "EUC_KR", "EUC_TW", "ISO_8859_5", "ISO_8859_6", "ISO_8859_7",
    "ISO_8859_8", "KOI8R", "KOI8U", "LATIN1", "LATIN2", "LATIN3", "LATIN4", "LATIN5", "LATIN6", "LATIN7",
    "LATIN8", "LATIN9", "LATIN10", "SQL_ASCII", "UTF8", "WIN1250", "WIN1251", "WIN1252", "WIN1253",
    "WIN1254", "WIN1255", "WIN1256", "WIN1257", "WIN1258", "WIN866", "WIN874",
})  # fmt: skip
_ENCODING_ALIASES = {"UTF-8": "UTF8", "UNICODE": "UTF8", "UTF_8": "UTF8", "ISO-8859-1": "LATIN1"}
_COLLATIONS = {
    "C": "C",
    "POSIX": "C",
    "C.UTF-8": "C.UTF-8",
    "C.UTF8": "C.UTF-8",
    "PG_UNICODE_FAST": "PG_UNICODE_FAST",
}


@dataclass(frozen=True)
class Locale:
    """A database's encoding and the name of its built-in locale."""

    encoding: str
    collation: str


CLUSTER = Locale("UTF8", "C.UTF-8")
"""Of a new server, and so of a database that names nothing."""
CLUSTER_OPTIONS = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
)
"""The same for `initdb`."""
PROVIDERS = frozenset({"builtin", "libc"})
"""Locale providers that the programs have in every build; a backup of a cluster with another one is refused."""


def locale_of(database: DatabaseSpec) -> Locale:
    """The encoding and collation that a specification means.

    Raises:
        RejectedName: not one of those offered, or two that do not go together.

    >>> locale_of(DatabaseSpec(name="d"))
    Locale(encoding='UTF8', collation='C.UTF-8')
    >>> locale_of(DatabaseSpec(name="d", character_set="latin1"))
    Locale(encoding='LATIN1', collation='C')
    """
    encoding = _encoding(database.character_set)
    if database.collate is None:
        return Locale(encoding, CLUSTER.collation if encoding == CLUSTER.encoding else "C")
    collation = _COLLATIONS.get(database.collate.upper())
    if collation is None:
        offered = ", ".join(sorted(set(_COLLATIONS.values())))
        raise RejectedName("collate", f"the collation {database.collate!r} is none of {offered}")
    if collation != "C" and encoding != "UTF8":
        raise RejectedName("collate", f"the collation {collation} needs the character set UTF8")
    return Locale(encoding, collation)


def _encoding(character_set: str | None) -> str:
    if character_set is None:
        return CLUSTER.encoding
    upper = character_set.upper()
    encoding = _ENCODING_ALIASES.get(upper, upper)
    if encoding not in ENCODINGS:
        raise RejectedName(
            "character_set", f"the character set {character_set!r} is none that PostgreSQL stores"
        )
    return encoding
