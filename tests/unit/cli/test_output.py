"""What commands print, for people and for programs."""

import json

import pytest
import yaml

from muniment_cli.output import print_record, print_records

_RECORDS = [{"id": "1", "name": "a [bold]b[/bold]", "ok": True, "size_gib": 1.25}, {"id": "22", "name": None}]


def test_a_table_is_plain_when_not_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """No colour, no markup, no blanks at the ends of lines; what is missing is a dash."""
    print_records(_RECORDS, "table", ("id", "name", "ok", "size_gib"))
    assert capsys.readouterr().out.splitlines() == [
        "id  name              ok   size gib",
        "1   a [bold]b[/bold]  yes  1.2",
        "22  -                 -    -",
    ]


def test_json_is_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON holds every field, whichever columns a table has."""
    print_records(_RECORDS, "json", ("id",))
    assert json.loads(capsys.readouterr().out) == _RECORDS


def test_yaml_is_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """YAML holds the same."""
    print_records(_RECORDS, "yaml", ("id",))
    assert yaml.safe_load(capsys.readouterr().out) == _RECORDS


def test_a_record_is_a_line_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    """One thing is printed with its fields below each other."""
    print_record({"log_position": 7, "verified": False}, "table")
    assert capsys.readouterr().out.splitlines() == ["log position  7", "verified      no"]
