"""Where a process of the guest writes its log: JSON lines in a file of bounded size."""

import logging
import logging.handlers
from pathlib import Path
from typing import Final

import structlog

__all__ = ["start_logging"]

_BYTES_MAX: Final = 4 * 1024 * 1024
_KEPT: Final = 2


def start_logging(path: Path, **bound: str) -> None:
    """Send structlog and the libraries' warnings to `path`; `bound` is in every line.

    Tracebacks are written without the values of variables, which may be secrets.
    """
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_BYTES_MAX, backupCount=_KEPT, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # An HTTP client that logs each request at INFO would fill the file with polls.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    path.chmod(0o600)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**bound)
