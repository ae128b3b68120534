"""What `muniment status` says of a database."""

import pytest

from muniment_cli.commands.status import operating_words


@pytest.mark.parametrize(
    ("recorded", "is_up", "told"),
    [
        ("HEALTHY", True, "HEALTHY"),
        ("HEALTHY", False, "unknown (control plane is down), last known HEALTHY"),
        ("", True, None),
        ("", False, None),
    ],
)
def test_nobody_knows_while_the_control_plane_is_down(recorded: str, is_up: bool, told: str | None) -> None:
    """What was last heard is shown as that."""
    assert operating_words(recorded, is_up=is_up) == told
