"""`muniment-agent --config FILE`: one server's agent, until it is told to stop.

SIGTERM and SIGINT end the agent and leave engine and jobs running; SIGUSR1 powers the server off.
Exit codes: 0 stopped as told, 1 failed, 2 bad configuration, 75 another agent runs here.
"""

import argparse
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Final

import structlog

from muniment.bus.transports.addresses import AddressFile
from muniment.bus.transports.gateway import GatewayTransport
from muniment.clock import SystemClock
from muniment.contract.server_config import ServerConfig
from muniment.fault import Fault
from muniment_guest.agent import Agent, Stop
from muniment_guest.config import Layout, read_config
from muniment_guest.driver import load_driver
from muniment_guest.logs import start_logging

__all__ = ["main"]

log = structlog.get_logger()

_FAILED, _BAD_CONFIG, _ALREADY_RUNS = 1, 2, 75
_PATIENCE_S: Final = 1.0
"""The transport gives up soon, for the agent has an engine to look after; trying again later is the agent's to do."""
_LOCK_TRIES: Final = 15
_LOCK_PAUSE_S: Final = 0.1
_SIGNALS: Final = {
    signal.SIGTERM: Stop.LEAVE,
    signal.SIGINT: Stop.LEAVE,
    signal.SIGUSR1: Stop.POWER_OFF,
}


def main() -> int:
    """Run the agent; the exit code."""
    parser = argparse.ArgumentParser(
        prog="muniment-agent", description="The agent that runs beside a database."
    )
    parser.add_argument("--config", type=Path, required=True, help="the server's configuration file")
    path: Path = parser.parse_args().config
    try:
        config = read_config(path)
    except Fault as fault:
        return _say(fault.message, _BAD_CONFIG)
    layout = Layout(config, path)
    try:
        layout.make()
        with locked(layout.lock) as is_ours:
            if not is_ours:
                return _say(f"another agent runs in {layout.state}", _ALREADY_RUNS)
            start_logging(layout.agent_log, instance_id=str(config.instance_id))
            return _run(layout, config)
    except Fault as fault:
        return _say(fault.message, _FAILED)


def _run(layout: Layout, config: ServerConfig) -> int:
    transport = GatewayTransport(
        config.instance_id,
        AddressFile(Path(config.gateway_file)),
        ca_file=Path(config.ca_file) if config.ca_file else None,
        patience_s=_PATIENCE_S,
    )
    try:
        loaded = load_driver(config.driver_group, config.datastore)
        agent = Agent(layout, loaded, transport, SystemClock())
        for number, how in _SIGNALS.items():
            signal.signal(number, _stopper(agent, how))
        agent.run()
    except Fault as fault:
        log.error("agent cannot work", reason=fault.message)
        raise
    except Exception as error:
        log.exception("agent failed", error=type(error).__name__)
        raise
    finally:
        transport.close()
    return 0


def _stopper(agent: Agent, how: Stop) -> Callable[[int, FrameType | None], None]:
    def stop(number: int, frame: FrameType | None) -> None:
        agent.stop(how)

    return stop


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the agent's lock, with our process id in it; whether it could be had.

    It is tried for a while: who only looks whether an agent runs takes it for a moment.
    """
    with open(path, "a+b") as file:
        if not _lock(file):
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield True


def _lock(file: IO[bytes]) -> bool:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False


def _say(message: str, code: int) -> int:
    print(f"muniment-agent: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
