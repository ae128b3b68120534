"""How much of a history the demo shows."""

import pytest

from muniment_cli.demo.story import shortened


@pytest.mark.parametrize("count", [0, 1, 9, 10])
def test_a_short_history_is_shown_whole(count: int) -> None:
    """A line that says that one line is missing would not be shorter."""
    lines = [f"line {number}" for number in range(count)]
    assert list(shortened(lines)) == lines


def test_a_long_history_shows_its_ends() -> None:
    """The first six, how many follow, and the last three."""
    lines = [f"line {number}" for number in range(40)]
    assert list(shortened(lines)) == [*lines[:6], "… 31 more …", *lines[-3:]]
