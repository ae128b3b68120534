"""This machine's Docker engine, asked through the agents' environment, which alone holds a client of it."""

import os
import subprocess
from pathlib import Path
from uuid import UUID

from muniment.fault import Fault

__all__ = ["Containers"]

_CALL_S = 4.0
_RESOLVE_S = 20.0


class Containers:
    """What the local cloud needs of Docker."""

    def __init__(self, python: Path, socket: str) -> None:
        """`python` is the interpreter of the agents' environment."""
        self._python = python
        self._socket = socket

    def why_none(self) -> str:
        """Why no engine can run in a container here; empty when one can."""
        if os.geteuid() != 0:
            return "engines in containers take root: run as root, or set local.runtime to process"
        try:
            self._ask("ping", limit_s=_CALL_S)
        except Fault as fault:
            return fault.message
        return ""

    def clear(self, instance_id: UUID) -> None:
        """Remove an instance's containers and its network.

        Raises:
            Fault: something is left.
        """
        self._ask("clear", str(instance_id), limit_s=_CALL_S)

    def digest(self, image: str) -> str | None:
        """The digest by which the image's registry knows it now; None where that cannot be told.

        Raises:
            Fault: the Docker engine does not answer.
        """
        return self._ask("resolve", image, limit_s=_RESOLVE_S) or None

    def _ask(self, *words: str, limit_s: float) -> str:
        argv = [str(self._python), "-m", "muniment_guest.runtimes.docker", "--socket", self._socket, *words]
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                check=False,
                timeout=limit_s,
                cwd="/",
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Fault("cloud", f"Docker cannot be asked to {words[0]}: {error}") from error
        if done.returncode != 0:
            raise Fault("cloud", done.stderr.strip()[-500:] or f"Docker cannot be asked to {words[0]}")
        return done.stdout.strip()
