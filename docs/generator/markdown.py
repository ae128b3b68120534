"""Markdown as the pages use it: tables, and one paragraph out of a docstring."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["GENERATED", "anchor", "code", "paragraph", "sentence", "table"]

GENERATED = "<!-- Made by `make docs` from the code. Change the code, then run it again. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold any text but no line break."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def code(text: object) -> str:
    """Text in the type of code."""
    return f"`{text}`"


def anchor(heading: str) -> str:
    """How a heading of the same page is linked to."""
    return "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def paragraph(docstring: str | None) -> str:
    """A docstring in one paragraph, without the sections that are for programmers (`Raises:` and its like)."""
    kept = re.split(r"\n\s*(?:Args|Raises|Returns|Yields)[^\n]*:\n", docstring or "")[0]
    kept = re.sub(r" \((?:D-\d+|`[\w-]+\.md` [\d.]+)\)", "", kept)  # for readers of the design
    return re.sub(r"\s+", " ", kept).strip()


def sentence(text: str) -> str:
    """With a capital at its beginning and a full stop at its end, as far as it is words."""
    text = text.strip()
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?:" else f"{text}."


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip() or "–"
