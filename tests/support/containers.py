"""What tests with containers need: a Docker engine that answers, and images that `make images` made."""

import os
from contextlib import closing
from functools import cache

import pytest

from muniment.contract.errors import OpFailed
from muniment_guest.runtimes.docker.engine import NotFound, open_engine

SOCKET = "/var/run/docker.sock"


def docker_tests(image: str | None) -> list[pytest.MarkDecorator]:
    """Marks of a test that needs Docker, and this image if one is named."""
    reason = why_no_containers(image)
    return [pytest.mark.docker, pytest.mark.skipif(reason is not None, reason=reason or "")]


@cache
def why_no_containers(image: str | None) -> str | None:
    """The sentence that says what is missing; None when nothing is."""
    if os.geteuid() != 0:
        return "takes root: engines in containers are kept apart by a rule of iptables"
    try:
        with closing(open_engine(SOCKET)) as engine:
            if image is not None:
                engine.inspect_image(image)
    except OpFailed as failed:
        return failed.error.message
    except NotFound:
        return f"takes the image {image}: make images"
    return None
