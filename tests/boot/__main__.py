"""`make boot`: `muniment service install` on machines that run systemd, which are booted, cut off and booted again.

This program imports nothing of the project. It makes an image of Debian with systemd and this checkout, and for root and
for an ordinary user a machine from it (a container without a network); nothing of these is left behind.

    python3 -m tests.boot [--user root|alice]
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from tests.boot.docker import docker, docker_error
from tests.boot.image import OURS, USER, built_image
from tests.boot.installation import DATA_OF_SYSTEM
from tests.boot.machine import Machine
from tests.boot.story import tell
from tests.boot.waiting import Broken

_CHECKOUT = Path(__file__).resolve().parents[2]


def missing() -> list[str]:
    """What this machine lacks, each a sentence."""
    if os.geteuid() != 0:
        return ["this takes root"]
    found = (
        []
        if shutil.which("mmdebstrap")
        else ["the program mmdebstrap is missing (apt-get install mmdebstrap)"]
    )
    error = docker_error()
    return found if error is None else [*found, error]


def traces() -> list[str]:
    """What is left behind: containers and images of ours, and loop devices on files that were on a machine of ours."""
    lists = (("container", "ls", "--all"), ("image", "ls"))
    found = [f"{words[0]} {one}" for words in lists for one in docker(*words, "--quiet", *OURS).splitlines()]
    devices = (path.read_text().strip() for path in Path("/sys/block").glob("loop*/loop/backing_file"))
    return found + [f"loop device for {file}" for file in devices if file.startswith(DATA_OF_SYSTEM)]


def main() -> int:
    """Run it; 0 when everything holds, 1 when not, 2 when it cannot be tried here."""
    parser = argparse.ArgumentParser(description="Try `muniment service install` on machines that boot.")
    parser.add_argument("--user", choices=("root", USER), action="append", help="only this one's unit")
    users = parser.parse_args().user or ["root", USER]
    if lacks := missing():
        for sentence in lacks:
            print(f"boot: cannot be tried here: {sentence}", file=sys.stderr)
        return 2
    began_s = time.monotonic()
    try:
        run(users)
        if left := traces():
            raise Broken(f"left behind: {', '.join(left)}")
    except (Broken, RuntimeError) as error:
        print(f"boot failed: {error}")
        return 1
    print(f"boot passed: as {' and '.join(users)}, in {time.monotonic() - began_s:.0f} s")
    return 0


def run(users: list[str]) -> None:
    """The story of each of these."""
    began_s = time.monotonic()
    with built_image(_CHECKOUT) as image:
        print(
            f"image of Debian with systemd and this checkout ({time.monotonic() - began_s:.1f} s)", flush=True
        )
        for user in users:
            print(f"as {user}", flush=True)
            with Machine(image) as machine:
                tell(machine, user=user)


if __name__ == "__main__":
    sys.exit(main())
