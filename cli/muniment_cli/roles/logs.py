"""Logs of a role: lines for people on a terminal, JSON otherwise, always on standard error."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from muniment.secret import Secret

__all__ = ["write_logs"]


def write_logs(*, verbose: bool) -> None:
    """Set logging up for this process: warnings on a terminal, what changes state otherwise, every step if `verbose`."""
    on_terminal = sys.stderr.isatty()
    level = logging.DEBUG if verbose else logging.WARNING if on_terminal else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    last: list[structlog.typing.Processor] = (
        # Local values of frames are left out of tracebacks: passwords are among them.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if on_terminal
        else [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module: their warnings are lines of ours.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*_bare(), *last])
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _bare() -> list[structlog.typing.Processor]:
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta]


def _hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A renderer may print an object's parts; a secret has none to print."""
    for key, value in event.items():
        if isinstance(value, Secret):
            event[key] = "***"
    return event
