"""What commands print: a table for people, JSON or YAML for programs; no colour when not on a terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import yaml
from rich.console import Console
from rich.table import Table

__all__ = ["Form", "console", "print_record", "print_records"]

Form = Literal["table", "json", "yaml"]


def console(*, stderr: bool = False) -> Console:
    """A console on standard output; unlimited width when not on a terminal, so that lines can be cut by programs."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 10_000
    return Console(stderr=stderr, width=width, soft_wrap=True, highlight=False, emoji=False, markup=False)


def print_records(records: Sequence[Mapping[str, object]], form: Form, columns: Sequence[str]) -> None:
    """Print a list; the table shows only `columns`, JSON and YAML everything."""
    if form != "table":
        _print_data(list(records), form)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for record in records:
        table.add_row(*(_cell(record.get(column)) for column in columns))
    _print_table(table)


def print_record(record: Mapping[str, object], form: Form, fields: Sequence[str] | None = None) -> None:
    """Print one thing, a line a field."""
    if form != "table":
        _print_data(dict(record), form)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for field in fields or list(record):
        if field in record:
            table.add_row(field.replace("_", " "), _cell(record[field]))
    _print_table(table)


def _print_table(table: Table) -> None:
    """Programs that cut lines get none that end in blanks."""
    place = console()
    if place.is_terminal:
        place.print(table)
        return
    with place.capture() as captured:
        place.print(table)
    sys.stdout.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())


def _print_data(data: object, form: Form) -> None:
    if form == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n")
    else:
        plain = msgspec.json.decode(msgspec.json.encode(data))
        sys.stdout.write(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.1f}"
        case Mapping() | list() | tuple():
            return msgspec.json.encode(value).decode()
    return str(value)
