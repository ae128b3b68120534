"""What it takes to grow a volume under its writer, beside the same three commands by hand in the same run. As root.

    python bench/grow.py [--rounds 5]

A whole `muniment up` with a real PostgreSQL on 1 GiB; one client inserts row after row, each acknowledged before the next.
"grow": from the request until the instance is active in its new size. "gap": the longest time without an acknowledgement while
it grew, and while nothing did. Rows that were acknowledged are counted at the end; none may be lost. The floor is
`bench/floor/grow.sh`: truncate, losetup, xfs_growfs on an idle file system.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from secrets import token_urlsafe
from statistics import median

import httpx
import psycopg
import yaml

PROGRAM = Path(sys.executable).with_name("muniment")
FLOOR = Path(__file__).parent / "floor" / "grow.sh"
LIMIT_S = 120.0
PASSWORD = token_urlsafe()


class Writer:
    """Inserts rows until it is stopped, and remembers when each was acknowledged."""

    def __init__(self, where: str) -> None:
        self.acknowledged_s: list[float] = []
        self._where = where
        self._stops = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stops.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._where, autocommit=True) as connection:
            while not self._stops.is_set():
                connection.execute("INSERT INTO written DEFAULT VALUES")
                self.acknowledged_s.append(time.monotonic())

    def gap_ms(self, began_s: float, ended_s: float) -> float:
        """The longest time between two acknowledgements."""
        during = [at for at in self.acknowledged_s if began_s <= at <= ended_s]
        return max((b - a for a, b in pairwise([began_s, *during, ended_s])), default=0.0) * 1000


@contextmanager
def control_plane(data: Path) -> Iterator[httpx.Client]:
    """`muniment up` on a directory of its own, and its API for a tenant; purged afterwards."""
    up = subprocess.Popen(
        [PROGRAM, "up", "--data", data, "--api", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert up.stdout is not None
        next(line for line in up.stdout if line.startswith("ready "))
        auth = yaml.safe_load((data / "clouds.yaml").read_text())["clouds"]["muniment"]["auth"]
        with httpx.Client(auth=(auth["username"], auth["password"]), timeout=LIMIT_S) as client:
            user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
            scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
            identity = {"methods": ["password"], "password": {"user": user}}
            body = {"auth": {"identity": identity, "scope": scope}}
            answer = client.post(f"{auth['auth_url']}/v3/auth/tokens", json=body).raise_for_status()
            base = auth["auth_url"].removesuffix("/identity")
            client.base_url = httpx.URL(f"{base}/v1.0/{answer.json()['token']['project']['id']}")
            yield client
    finally:
        subprocess.run(
            [PROGRAM, "down", "--data", data, "--purge", "--yes"], check=False, capture_output=True
        )
        up.wait(LIMIT_S)


def active(client: httpx.Client, instance: str, size_gib: int) -> dict[str, object]:
    """The instance once it is active in that size."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        shown: dict[str, object] = client.get(f"/instances/{instance}").raise_for_status().json()["instance"]
        if shown["status"] == "ACTIVE" and shown["volume"] == {**shown["volume"], "size": size_gib}:  # type: ignore[dict-item]
            return shown
        time.sleep(0.005)
    raise TimeoutError(f"instance {instance} has no {size_gib} GiB after {LIMIT_S:.0f} s")


def created(client: httpx.Client) -> tuple[str, str]:
    """A database of 1 GiB with a table: its id, and where it is."""
    user = {"name": "app", "password": PASSWORD, "databases": [{"name": "shop"}]}
    wanted = {
        "name": "shop",
        "flavorRef": "1",
        "volume": {"size": 1},
        "datastore": {"type": "postgresql"},
        "databases": [{"name": "shop"}],
        "users": [user],
    }
    instance = (
        client.post("/instances", json={"instance": wanted}).raise_for_status().json()["instance"]["id"]
    )
    endpoint = active(client, instance, 1)["endpoints"][0]  # type: ignore[index]
    where = f"host={endpoint['host']} port={endpoint['port']} dbname=shop user=app password={PASSWORD}"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("CREATE TABLE written(id bigserial PRIMARY KEY)")
    return instance, where


def measure(client: httpx.Client, rounds: int) -> None:
    """Grow by 1 GiB so many times under one writer, and print what it took."""
    instance, where = created(client)
    grown, gaps, idle = [], [], []
    with Writer(where) as writer:
        for size_gib in range(2, rounds + 2):
            time.sleep(0.5)
            began_s = time.monotonic()
            idle.append(writer.gap_ms(began_s - 0.4, began_s))
            resize = {"resize": {"volume": {"size": size_gib}}}
            client.post(f"/instances/{instance}/action", json=resize).raise_for_status()
            active(client, instance, size_gib)
            ended_s = time.monotonic()
            grown.append((ended_s - began_s) * 1000)
            gaps.append(writer.gap_ms(began_s, ended_s))
    with psycopg.connect(where) as connection:
        row = connection.execute("SELECT count(*) FROM written").fetchone()
    assert row is not None
    print(f"grow   {median(grown):8.0f} ms  ({min(grown):.0f} to {max(grown):.0f})")
    print(f"gap    {median(gaps):8.1f} ms  ({min(gaps):.1f} to {max(gaps):.1f}); idle {median(idle):.1f} ms")
    acknowledged = len(writer.acknowledged_s)
    print(f"rows   {acknowledged:8} acknowledged, {max(0, acknowledged - row[0])} lost")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if os.geteuid() != 0:
        print("grow: volumes whose size is enforced need root; skipped")
        return
    with tempfile.TemporaryDirectory(prefix="mm-grow-") as place:
        Path(place).chmod(0o711)
        with control_plane(Path(place) / "data") as client:
            measure(client, rounds)
        floor = subprocess.run(["sh", FLOOR, place, str(rounds)], check=True, capture_output=True, text=True)
    by_hand = [int(line) for line in floor.stdout.split()]
    print(f"floor  {median(by_hand):8.0f} ms  ({min(by_hand)} to {max(by_hand)})")


if __name__ == "__main__":
    main()
