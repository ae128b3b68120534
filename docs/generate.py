"""Write the reference pages that are made from the code: `make docs`, or `python -m docs.generate`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator.cli import cli_page
from docs.generator.errors import errors_page
from docs.generator.events import events_page
from docs.generator.operations import operations_page
from docs.generator.ops import ops_page
from docs.generator.rest import rest_page
from docs.generator.settings import settings_page

__all__ = ["PAGES", "REFERENCE"]

REFERENCE = Path(__file__).parent / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "errors.md": errors_page,
    "events.md": events_page,
    "operations.md": operations_page,
    "ops.md": ops_page,
    "rest.md": rest_page,
    "settings.md": settings_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
