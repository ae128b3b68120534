"""The docker program, called."""

import subprocess
from pathlib import Path

__all__ = ["docker", "docker_error"]


def docker(*words: str, stdin: Path | None = None) -> str:
    """Run it, with a file as its input; what it printed.

    Raises:
        RuntimeError: it failed.
    """
    with Path("/dev/null" if stdin is None else stdin).open("rb") as given:
        done = subprocess.run(["docker", *words], stdin=given, capture_output=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise RuntimeError(f"docker {' '.join(words[:2])}: {said[-3000:]}")
    return done.stdout.decode(errors="replace").strip()


def docker_error() -> str | None:
    """Why there is no engine to use; None when there is one."""
    try:
        docker("version", "--format={{.Server.Version}}")
    except FileNotFoundError:
        return "the program docker is missing (apt-get install docker.io)"
    except RuntimeError as error:
        return f"the Docker engine does not answer; start dockerd ({str(error).splitlines()[-1].strip()})"
    return None
