"""Statements are written once; what PostgreSQL reads is made from them word by word."""

from muniment.store.state import TABLES, for_postgres


def test_names_become_psycopgs() -> None:
    """Named parameters change their form; casts and times of day do not."""
    assert (
        for_postgres("a = :name AND b::text = '12' AND c = :other_s")
        == "a = %(name)s AND b::text = '12' AND c = %(other_s)s"
    )


def test_tables_have_no_word_that_only_sqlite_knows() -> None:
    """Types and identity columns are translated in every table."""
    translated = " ".join(map(for_postgres, TABLES))
    assert "BLOB" not in translated
    assert "AUTOINCREMENT" not in translated
    assert "rowid" not in translated.lower()
