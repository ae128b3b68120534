"""The id by which a guest knows an outbox row."""

from uuid import UUID, uuid5

from muniment.store.state import OutboxRow

__all__ = ["command_id_of", "find_row"]


def command_id_of(row_id: str) -> UUID:
    """A row's id is its command's; a question about a command has that id, `?` and a count, and an id made from both.

    >>> command_id_of("12345678-1234-4234-8234-123456789abc")
    UUID('12345678-1234-4234-8234-123456789abc')
    >>> command_id_of("12345678-1234-4234-8234-123456789abc?2").version
    5
    """
    base, mark, count = row_id.partition("?")
    return uuid5(UUID(base), mark + count) if mark else UUID(base)


def find_row(rows: list[OutboxRow], command_id: UUID) -> OutboxRow | None:
    """The row that a guest means."""
    return next((row for row in rows if command_id_of(row.id) == command_id), None)
