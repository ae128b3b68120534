"""What the written pages show exists: their links, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.generator.markdown import anchor

from muniment_cli.main import menu

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```\w*\n(?P<lines>.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^    (?P<line>.*)$", re.MULTILINE)


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Links of a page into this repository that lead nowhere."""
    for target in (match["target"] for match in LINK.finditer(text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, fragment = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        headings = re.findall(r"^#+ (.*)$", place.read_text(), re.MULTILINE) if place.is_file() else []
        if not place.exists() or (fragment and f"#{fragment}" not in map(anchor, headings)):
            yield target


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `muniment` command line that a page shows."""
    shown = [line for block in FENCE.finditer(text) for line in block["lines"].splitlines()]
    shown += [match["line"] for match in INDENTED.finditer(text)]
    for line in shown:
        found = re.match(r"(?:\$ )?(?:sudo )?(?:\.venv/bin/)?muniment (?P<rest>.*)", line)
        if found is not None:
            yield shlex.split(re.split(r" [|>&#]|;", found["rest"])[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files and headings that a page names are there."""
    assert list(broken_links(page, page.read_text())) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    """Every command line in a page is one that the program takes."""
    for words in commands(page.read_text()):
        menu().parse_args(words, exit_on_error=False, print_error=False)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """Both kinds: a file that is not there, and a heading that is not in it."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading\n[good](#a-heading) [bad](#another) [bad](nowhere.md) [out](https://example.org)\n"
    )

    assert list(broken_links(page, page.read_text())) == ["#another", "nowhere.md"]


def test_commands_are_read_out_of_a_page() -> None:
    """From both kinds of blocks, without what a shell does with them."""
    text = "text\n\n    muniment verify -o json | head\n\n```console\n$ muniment down --yes\nstopped\n```\n"

    assert list(commands(text)) == [["down", "--yes"], ["verify", "-o", "json"]]


def test_files_that_the_architecture_names_exist() -> None:
    """A file that was renamed is renamed there too."""
    named = set(re.findall(r"`(?:[\w/.*]+/)?(\w+\.py)`", (ROOT / "docs/architecture.md").read_text()))
    rooms = ("core", "projections", "api", "guest", "drivers", "cli", "docs")
    there = {path.name for room in rooms for path in (ROOT / room).rglob("*.py")}

    assert len(named) > 100
    assert named - there == set()
