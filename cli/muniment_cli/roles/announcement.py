"""What `muniment up` prints when it is ready."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from muniment_cli.clouds_file import TENANT_CLOUD
from muniment_cli.data_directory import DATA_VARIABLE, DataDirectory, default_data

__all__ = ["announce"]

_PROGRAM = "muniment"


def announce(data: DataDirectory, url: str, remarks: Sequence[str], *, is_first: bool) -> None:
    """What a person needs to go on, and `ready` for programs, as the last line."""
    program = _program()
    if is_first:
        print(f"data directory  {data.root}")
        print(f"accounts        demo and admin; their passwords are in {data.clouds_file}")
        print(f"key             {data.key_file}")
        print("                without this file no backup opens: keep a copy on another machine,")
        print(f"                `{program} keys export --data {shlex.quote(str(data.root))} FILE` makes one")
        print("next            in another terminal, the export line below and then:")
        print(f"                {program} instance create shop --database shop --user app --wait")
    for remark in (*remarks, *_missing(data, program)):
        print(f"note            {remark}")
    print(_export_line(data, os.environ))
    print(f"ready {url}", flush=True)


def _export_line(data: DataDirectory, environment: Mapping[str, str]) -> str:
    """With it, another terminal's commands find the API, and a data directory that they would not look for."""
    variables = {"OS_CLIENT_CONFIG_FILE": str(data.clouds_file), "OS_CLOUD": TENANT_CLOUD}
    elsewhere = {name: value for name, value in environment.items() if name != DATA_VARIABLE}
    if data.root != default_data(elsewhere):
        variables[DATA_VARIABLE] = str(data.root)
    return " ".join(["export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())])


def _missing(data: DataDirectory, program: str) -> list[str]:
    if data.clouds_file.exists():
        return []
    way_back = f"log in with OS_* variables and a password that `{program} passwd demo --generate` draws"
    return [f"{data.clouds_file} is missing: put it back from a copy, or {way_back}"]


def _program() -> str:
    """How another terminal calls this program: by its full path when it is not on the path of programs."""
    if shutil.which(_PROGRAM) is not None:
        return _PROGRAM
    beside = Path(sys.executable).parent / _PROGRAM
    return shlex.quote(str(beside)) if beside.exists() else _PROGRAM
